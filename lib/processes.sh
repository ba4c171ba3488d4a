# Start, find and end processes so that nothing of ours is ever left behind. Sourced: from then on TERM and INT do
# not end the script at once but are passed on to its child, and noted in STOPPED.
# shellcheck shell=bash

readonly GRACE_S=3 # seconds from TERM to KILL: a stop is over within 5

STOPPED=
CHILD=

pass_on() {
  STOPPED=$1
  [[ -z $CHILD ]] || kill -TERM "$CHILD" 2>/dev/null || :
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM

# After `kill -9` of this shell nobody else would tell its child (util-linux before 2.33 does not know the option).
HEIR=(setpriv --pdeathsig TERM --)
[[ -n ${LAB_HEIR:=$("${HEIR[@]}" printf yes 2>/dev/null || printf no)} ]]
[[ $LAB_HEIR == yes ]] || HEIR=()
export LAB_HEIR # asked once a loop, not once a script

# run_child COMMAND...: run it to its end and give back its status; TERM and INT reach it at once, as TERM.
# In the background, because bash runs no trap while it waits for a command in the foreground.
run_child() {
  local status=0
  "${HEIR[@]}" "$@" 9>&- & # 9 is the tree's lock: it dies with the loop, not with the last of its children
  CHILD=$!
  [[ -z $STOPPED ]] || kill -TERM "$CHILD" 2>/dev/null || : # it came before there was a child
  wait "$CHILD" || status=$?
  while kill -0 "$CHILD" 2>/dev/null; do # a trap ended the wait, not the child
    status=0
    wait "$CHILD" || status=$?
  done
  CHILD=
  return "$status"
}

# capture COMMAND...: run it to its end and give back its status; what it says, on stderr too, is in OUTPUT. TERM and INT reach it
# at once, which they would not in a $(...): bash runs no trap until that has ended.
capture() {
  local status=0 from
  exec {from}< <(exec "${HEIR[@]}" "$@" </dev/null 2>&1 9>&-)
  CHILD=$!
  # shellcheck disable=SC2034 # used where this is sourced
  IFS= read -r -d '' -u "$from" OUTPUT || : # interrupted by a trap, it goes on until the child has ended
  exec {from}<&-
  wait "$CHILD" || status=$?
  CHILD=
  return "$status"
}

# exit_if_stopped: with the status that the signal has by custom.
exit_if_stopped() {
  case $STOPPED in
    INT) exit 130 ;;
    TERM) exit 143 ;;
    *) ;;
  esac
}

# tagged NAME=VALUE: the pids that were started with this in their environment, whatever session or group they made
# for themselves since: a variable is inherited by all descendants, a process group is not.
tagged() {
  local files
  files=$(grep -slzxF -e "$1" /proc/[0-9]*/environ) || :
  grep -o '[0-9]\+' <<<"$files" || :
}

# descendants: the pids of all that this script has started, or adopted (lib/adopt), but for zombies, and for those that look.
descendants() {
  local looking=$BASHPID
  grep -sE '^(State|PPid):' /proc/[0-9]*/status | awk -v top=$$ -v looking="$looking" '
    { split($1, path, "/") }
    $1 ~ /:State:$/ { is_zombie[path[3]] = $2 == "Z" }
    $1 ~ /:PPid:$/ { parent[path[3]] = $2 }
    END {
      for (pid in parent) {
        for (above = pid; above in parent && above != top && above != looking;) above = parent[above]
        if (above == top && pid != top && !is_zombie[pid]) print pid
      }
    }'
}

# now_cs NAME: sets it to the hundredths of a second since the machine was started.
now_cs() {
  local uptime
  read -r uptime _ </proc/uptime
  printf -v "$1" '%s' "${uptime/./}"
}

# end_tagged NAME=VALUE [GROUP]: ends what has the tag, and what descends from this script: TERM, then KILL, then verify
# that none is left. Fails when one is. The process group, where one is given, is the last resort where nobody adopts.
end_tagged() {
  local pids group=${2:+-$2} signal=TERM began now
  now_cs began
  while mapfile -t pids < <(tagged "$1" && descendants) && ((${#pids[@]})); do
    [[ -z $signal ]] || kill "-$signal" -- ${group:+"$group"} "${pids[@]}" 2>/dev/null || :
    sleep 0.1
    now_cs now
    signal=
    ((now - began < 100 * GRACE_S)) || signal=KILL
    ((now - began < 100 * (GRACE_S + 5))) || return 1
  done
  kill -KILL -- ${group:+"$group"} 2>/dev/null || :
}

# start_ticks PID: when the kernel started it, in clock ticks since boot; with the pid, a name that is never used again.
# Fails when it is not there, or a zombie: one that has ended, and that nobody has asked for its status.
start_ticks() {
  local stat
  stat=$(<"/proc/$1/stat") || return 1
  read -r -a stat <<<"${stat##*) }" # the program's name, in brackets, may hold anything
  [[ ${stat[0]} != Z ]] || return 1
  printf '%s\n' "${stat[19]}"
} 2>/dev/null
