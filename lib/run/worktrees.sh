# Finds where the branches of this repository are checked out. Sourced, after current_run.sh.
# shellcheck shell=bash

# worktree_of BRANCH: prints the folder where it is checked out, or nothing.
worktree_of() {
  git worktree list --porcelain | awk -v wanted="branch refs/heads/$1" '
    /^worktree / { folder = substr($0, 10) }
    $0 == wanted { print folder; exit }'
}

# is_rebased BRANCH: whether a worktree is rebasing it; it is not checked out meanwhile.
is_rebased() { grep -qsxF "refs/heads/$1" "$COMMON_DIR"/{,worktrees/*/}rebase-{merge,apply}/head-name; }
