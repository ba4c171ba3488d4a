# Repairs what a killed git or a power cut leaves in the repository. Sourced, after current_run.sh.
# shellcheck shell=bash

# own_locks, common_locks: list the lock files of a killed git, which block every other git: those of this tree, and
# those shared by all worktrees.
own_locks() { files_named '*.lock' "$GIT_FOLDER"/{index,HEAD}.lock "$GIT_FOLDER/reftable"; }
common_locks() {
  files_named '*.lock' "$COMMON_DIR"/{packed-refs.lock,"refs/heads/$BRANCH.lock",reftable} "$COMMON_DIR"/refs/experiments/{"$TAG","_records/$TAG.lock"}
  files_named packed-refs.new "$COMMON_DIR/packed-refs.new"
}

# is_git_at_work FOLDER...: whether a git process works in one of these folders or on this repository.
is_git_at_work() {
  local pid folder at
  for pid in $(pids_named 'git.*'); do
    [[ $(arguments_of "$pid" 2>/dev/null) != *' fsmonitor--daemon '* ]] || continue # always running, and takes no lock
    at=$(folder_of "$pid")/ || at=
    for folder; do
      [[ $at != "$folder"/* ]] || return 0
    done
    ! is_named_by "$pid" "$COMMON_DIR" || return 0
  done
  return 1
}

# break_locks: removes the locks of a dead git.
break_locks() {
  local worktrees
  remove_stale own_locks "$TREE"
  [[ -n $(common_locks) ]] || return 0
  mapfile -t worktrees < <(git worktree list --porcelain | sed -n 's/^worktree //p')
  remove_stale common_locks "$COMMON_DIR" "${worktrees[@]}"
}

# remove_stale LOCKS FOLDER...: removes the files that LOCKS lists, if no git works in these folders, and nothing
# changes in a second.
remove_stale() {
  local locks lock
  locks=$("$1")
  [[ -n $locks ]] && ! is_git_at_work "${@:2}" || return 0
  sleep 1
  [[ $("$1") == "$locks" ]] && ! is_git_at_work "${@:2}" || return 0
  while read -r _ _ lock; do
    rm -f "$lock"
    say "removed '$lock', which a killed git had left"
  done <<<"$locks"
}

# mend_index: makes the index again if a power cut tore it, since git does not sync it. Staged changes are lost with it.
mend_index() {
  local index=$GIT_FOLDER/index
  ! says_yes git ls-files >/dev/null 2>&1 || return 0
  mv -f "$index" "$index.torn"
  git read-tree HEAD
  say "git could not read its index: replaced it; the old one is '$index.torn'"
}
