# Mend what a git that was killed, or a power cut, leaves of this repository. Sourced, after current_run.sh.
# shellcheck shell=bash

# own_locks, common_locks: the files that git leaves behind when it is killed, and that keep every other git from working: those of
# this tree, and those that all worktrees of the repository share.
own_locks() { files_named '*.lock' "$GIT_FOLDER"/{index,HEAD}.lock "$GIT_FOLDER/reftable"; }
common_locks() {
  files_named '*.lock' "$COMMON_DIR"/{packed-refs.lock,"refs/heads/$BRANCH.lock",reftable} "$COMMON_DIR"/refs/experiments/{"$TAG","_records/$TAG.lock"}
  files_named packed-refs.new "$COMMON_DIR/packed-refs.new"
}

# is_git_at_work FOLDER...: whether any git works in one of these: a person's, with an editor open; or on this repository, from elsewhere.
is_git_at_work() {
  local pid folder at
  for pid in $(pids_named 'git.*'); do
    [[ $(arguments_of "$pid" 2>/dev/null) != *' fsmonitor--daemon '* ]] || continue # which is always there, and locks nothing
    at=$(folder_of "$pid")/ || at=
    for folder; do
      [[ $at != "$folder"/* ]] || return 0
    done
    ! is_named_by "$pid" "$COMMON_DIR" || return 0
  done
  return 1
}

# break_locks: those of a git that is dead.
break_locks() {
  local worktrees
  break_those own_locks "$TREE"
  [[ -n $(common_locks) ]] || return 0
  mapfile -t worktrees < <(git worktree list --porcelain | sed -n 's/^worktree //p')
  break_those common_locks "$COMMON_DIR" "${worktrees[@]}"
}

# break_those LOCKS FOLDER...: what LOCKS lists, where nobody is at work in these folders, and a second later it is the same.
break_those() {
  local locks lock
  locks=$("$1")
  [[ -n $locks ]] && ! is_git_at_work "${@:2}" || return 0
  sleep 1
  [[ $("$1") == "$locks" ]] && ! is_git_at_work "${@:2}" || return 0
  while read -r _ _ lock; do
    rm -f "$lock"
    say "a git was killed here: removed its '$lock'"
  done <<<"$locks"
}

# mend_index: git does not sync it, and after a power cut nothing works without it. What was staged and not committed goes with it.
mend_index() {
  local index=$GIT_FOLDER/index
  ! git ls-files >/dev/null 2>&1 || return 0
  mv -f "$index" "$index.torn"
  git read-tree HEAD
  say "git could not read its index: it was made anew, and the old one is '$index.torn'"
}
