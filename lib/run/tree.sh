# The lock of the person's tree. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/mend_git.sh"

# Without flock every tree would seem to be held.
has_tools || die "no '$MISSING_TOOL' on PATH" "install the package $PACKAGE"

# is_held: whether a verb holds this tree. Asking takes the lock for an instant.
is_held() { ! (lock 9) 9<>runs/.lock; }

# is_run_held: whether the holder works on this run.
is_run_held() { is_held && [[ $(sed -n 2p runs/.lock) == "$TAG" ]]; }

# take_tree: takes the lock (exit 75 if another verb has it), and ends the processes that a dead loop left.
take_tree() {
  local holder
  mkdir -p runs
  exec 9<>runs/.lock
  if ! lock 9 0.5 && ! take_over_queue; then # is_held may have it for an instant
    read -r holder <runs/.lock || holder='pid unknown'
    say "${0##*/}: another loop holds this tree: '$holder'"
    say 'hint: watch it: make status; to end it: make stop'
    exit 75
  fi
  rm -f "$RUN/stop" # it was for an earlier loop
  printf 'pid %s since %(%Y-%m-%d %H:%M:%S)T\n%s\n%s\n' $$ -1 "$TAG" "${MARK:-}" >runs/.lock
  end_tagged "LAB_TREE=$TREE" ||
    die 'cannot end the processes of an earlier loop' "find them with ps and end them: ps -fu $EUID"
  export LAB_TREE=$TREE LAB_HOLDER=$$
  break_locks
  mend_index
  rm -rf "$RUN/kept" # left by a dead loop
  [[ ! -d $RUN ]] || beat
}

# take_over_queue: a loop ends the background queue (lib/experiment/queue.sh) and continues its flights.
take_over_queue() {
  local pid
  [[ ${0##*/} == loop && $(sed -n 3p runs/.lock) == queue ]] || return
  read -r _ pid _ <runs/.lock
  [[ $(arguments_of "$pid" 2>/dev/null) == *'/bin/experiment --queue '* ]] || return
  say "the loop takes over the experiments of the background process (pid $pid)"
  kill -TERM "$pid" 2>/dev/null || :
  lock 9 20
}
