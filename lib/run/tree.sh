# The person's tree: who holds its lock, what in it is not committed, and whose its train.py is. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/mend_git.sh"

MAY_BE_DIRTY= # a file whose unsaved change is asked for

# is_held: whether somebody works on this tree, a loop or another verb that takes it. It is held for an instant to know.
is_held() { ! (lock 9) 9<>runs/.lock; }

# take_tree: the lock of this tree (75 when somebody has it), and then the end of what a dead loop has left running.
take_tree() {
  local holder
  mkdir -p runs
  exec 9<>runs/.lock
  if ! lock 9 0.5; then # is_held has it for an instant
    read -r holder <runs/.lock || holder='pid unknown'
    say "${0##*/}: another loop holds this tree: '$holder'"
    say 'hint: end it with make stop, or watch it with make status'
    exit 75
  fi
  printf 'pid %s since %(%Y-%m-%d %H:%M:%S)T\n' $$ -1 >runs/.lock
  end_tagged "LAB_TREE=$TREE" || die 'processes of an earlier loop do not end' 'see them with ps, and end them yourself'
  export LAB_TREE=$TREE LAB_HOLDER=$$
  break_locks
  mend_index
  rm -rf "$RUN/kept" # of a loop that is dead, or of before a power cut
  [[ ! -d $RUN ]] || beat
}

# beat: this tree is at work; bin/keepalive ends a loop that has not said so for longer than any step may take.
beat() { : >"$RUN/alive"; } 2>/dev/null || :

# dirty_files: tracked files that differ from HEAD, in the index or in the tree. A train.py that an interrupted
# experiment has put there is ours, not a person's.
dirty_files() {
  { git -c core.quotePath=false diff --name-only HEAD -- && git -c core.quotePath=false diff --name-only --cached HEAD --; } | sort -u | while IFS= read -r file; do
    if [[ $file == "$MAY_BE_DIRTY" ]] || { [[ $file == train.py ]] && train_is_ours; }; then
      continue
    fi
    printf '%s\n' "$file"
  done
}

# refuse_dirty: a person's unsaved work is safe with us because we do not start on top of it.
refuse_dirty() {
  local files
  files=$(dirty_files)
  [[ -z $files ]] || die "the tree has changes that are not committed: '${files//$'\n'/\', \'}'" 'commit or stash them first'
}

# train_is_of_flight: whether train.py is one of those that the experiment in flight puts there, or has taken from there.
train_is_of_flight() {
  local one
  for one in before.py train.py edit/train.py; do
    ! cmp -s train.py "$FLIGHT/$one" || return 0
  done
  return 1
}

# train_is_ours: or a change that waits, which is saved.
train_is_ours() { train_is_of_flight || cmp -s train.py "$RUN/edit/train.py"; }

# mend_train: what a kill, or a power cut, has left of a train.py that was being written: nothing, or its beginning.
mend_train() {
  local whole
  train_is_ours && return
  for whole in "$FLIGHT/train.py" "$FLIGHT/before.py"; do
    [[ -f $whole && -f $FLIGHT/before.py ]] || continue
    if [[ ! -e train.py ]] || cmp -s -n "$(size_of train.py)" train.py "$whole"; then
      cp "$FLIGHT/before.py" train.py
      return
    fi
  done
}
