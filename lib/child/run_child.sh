# Start, find and end processes so that nothing of ours is ever left behind. Sourced: from then on TERM, INT and HUP do
# not end the script at once but are passed on to its child, and noted in STOPPED.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used where this is sourced
readonly GRACE_S=3 # seconds from TERM to KILL: a stop is over within 5

STOPPED=
declare -A CHILDREN=() # pid -> a child that gets stop signals

pass_on() {
  local child
  STOPPED=$1
  for child in "${!CHILDREN[@]}"; do
    kill -TERM "$child" 2>/dev/null || :
  done
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM
trap 'pass_on HUP' HUP # a closed terminal; where it is ignored, as in a loop, bash leaves it so

# start_child COMMAND...: STARTED is its pid; TERM, INT and HUP reach it at once, as TERM.
start_child() {
  "$@" 9>&- & # 9 is the tree's lock: it dies with the loop, not with the last of its children
  STARTED=$!
  CHILDREN[$STARTED]=yes
  [[ -z $STOPPED ]] || kill -TERM "$STARTED" 2>/dev/null || : # it came before there was a child
}

# end_of PID: wait for a child that was started, and give back its status.
end_of() {
  local status=0
  wait "$1" || status=$?
  while kill -0 "$1" 2>/dev/null; do # a trap ended the wait, not the child
    status=0
    wait "$1" || status=$?
  done
  unset "CHILDREN[$1]"
  return "$status"
}

# run_child COMMAND...: run it to its end and give back its status.
# In the background, because bash runs no trap while it waits for a command in the foreground.
run_child() {
  start_child "$@"
  end_of "$STARTED"
}

# capture COMMAND...: runs it to its end and returns its status; sets OUTPUT to its stdout and stderr. TERM and INT
# reach it at once; in a $(...) they would not, because bash runs no trap until that has ended.
capture() {
  local status=0 from child
  exec {from}< <(exec "$@" </dev/null 2>&1 9>&-)
  child=$!
  CHILDREN[$child]=yes
  # shellcheck disable=SC2034 # used where this is sourced
  IFS= read -r -d '' -u "$from" OUTPUT || : # interrupted by a trap, it goes on until the child has ended
  exec {from}<&-
  wait "$child" || status=$?
  unset "CHILDREN[$child]"
  return "$status"
}

# exit_if_stopped: with the status that the signal has by custom.
exit_if_stopped() {
  case $STOPPED in
    HUP) exit 129 ;;
    INT) exit 130 ;;
    TERM) exit 143 ;;
    *) ;;
  esac
}

# end_tagged NAME=VALUE: ends all processes with this variable, in any session or process group: all descendants inherit
# a variable, but not a process group. TERM, then KILL; fails if one is left.
end_tagged() { "$LAB_PYTHON" -IS "$TOOLKIT/lib/child/runner.py" --end "$1"; }
