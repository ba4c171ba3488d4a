# Where the branches of this repository are checked out. Sourced, after current_run.sh.
# shellcheck shell=bash

# worktree_of BRANCH: prints the folder in which it is checked out; nothing, where it is nowhere.
worktree_of() {
  git worktree list --porcelain | awk -v wanted="branch refs/heads/$1" '
    /^worktree / { folder = substr($0, 10) }
    $0 == wanted { print folder; exit }'
}

# is_rebased BRANCH: whether a rebase of it is going on, in any worktree: it is nowhere checked out then.
is_rebased() { grep -qsxF "refs/heads/$1" "$COMMON_DIR"/{,worktrees/*/}rebase-{merge,apply}/head-name; }
