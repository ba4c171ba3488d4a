# The person's tree: who holds its lock. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/mend_git.sh"

# Without a tool for locks every tree would look as if somebody had it.
has_tools || die "no '$MISSING_TOOL' on PATH" "install the package $PACKAGE"

# is_held: whether somebody works on this tree, a loop or another verb that takes it. It is held for an instant to know.
is_held() { ! (lock 9) 9<>runs/.lock; }

# is_run_held: or rather on this run, not on another one of this tree.
is_run_held() { is_held && [[ $(sed -n 2p runs/.lock) == "$TAG" ]]; }

# take_tree: the lock of this tree (75 when somebody has it), and then the end of what a dead loop has left running.
take_tree() {
  local holder
  mkdir -p runs
  exec 9<>runs/.lock
  if ! lock 9 0.5 && ! take_over_queue; then # is_held has it for an instant
    read -r holder <runs/.lock || holder='pid unknown'
    say "${0##*/}: another loop holds this tree: '$holder'"
    say 'hint: end it with make stop, or watch it with make status'
    exit 75
  fi
  rm -f "$RUN/stop" # that was asked of an earlier loop
  printf 'pid %s since %(%Y-%m-%d %H:%M:%S)T\n%s\n%s\n' $$ -1 "$TAG" "${MARK:-}" >runs/.lock
  end_tagged "LAB_TREE=$TREE" || die 'processes of an earlier loop do not end' 'see them with ps, and end them yourself'
  export LAB_TREE=$TREE LAB_HOLDER=$$
  break_locks
  mend_index
  rm -rf "$RUN/kept" # of a loop that is dead, or of before a power cut
  [[ ! -d $RUN ]] || beat
}

# take_over_queue: where the tree's holder is only the queue (lib/experiment/queue.sh), a loop ends it, and goes on with its flights.
take_over_queue() {
  local pid
  [[ ${0##*/} == loop && $(sed -n 3p runs/.lock) == queue ]] || return
  read -r _ pid _ <runs/.lock
  [[ $(arguments_of "$pid" 2>/dev/null) == *'/bin/experiment --queue '* ]] || return
  say "the loop goes on with the experiments that were tried in the background (pid $pid)"
  kill -TERM "$pid" 2>/dev/null || :
  lock 9 20
}
