# Mend what a git that was killed, or a power cut, leaves of this repository. Sourced, after current_run.sh.
# shellcheck shell=bash

# git_locks: the files that git leaves behind when it is killed, and that keep every other git from working.
git_locks() {
  local own common
  own=$(git rev-parse --git-dir)
  common=$(git rev-parse --git-common-dir)
  files_named '*.lock' "$own"/{index,HEAD}.lock "$common"/{packed-refs.lock,"refs/heads/$BRANCH.lock"} "$common/refs/experiments/$TAG"
}

# is_git_at_work: whether any git has this tree as its folder: a person's, with an editor open.
is_git_at_work() {
  local pid
  for pid in $(pids_named 'git.*'); do
    [[ $(folder_of "$pid")/ != "$TREE"/* ]] || return 0
  done
  return 1
}

# break_locks: those of a git that is dead: nobody is at work, and a second later they are the same.
break_locks() {
  local locks lock
  locks=$(git_locks)
  [[ -n $locks ]] && ! is_git_at_work || return 0
  sleep 1
  [[ $(git_locks) == "$locks" ]] && ! is_git_at_work || return 0
  while read -r _ _ lock; do
    rm -f "$lock"
    say "a git was killed here: removed its '$lock'"
  done <<<"$locks"
}

# mend_index: git does not sync it, and after a power cut nothing works without it. What was staged and not committed goes with it.
mend_index() {
  local index
  ! git ls-files >/dev/null 2>&1 || return 0
  index=$(git rev-parse --git-path index)
  mv -f "$index" "$index.torn"
  git read-tree HEAD
  say "git could not read its index: it was made anew, and the old one is '$index.torn'"
}
