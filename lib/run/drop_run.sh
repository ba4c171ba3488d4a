# The end of a run: its branch, its folder and its refs together. Sourced, after current_run.sh, tree.sh, restart.sh and worktrees.sh.
# shellcheck shell=bash

# refs_of_run: prints the names of all its refs.
refs_of_run() { git for-each-ref --format='%(refname)' "refs/heads/$BRANCH" "refs/experiments/$TAG/" "$RECORDS/$TAG" "refs/notes/experiments/$TAG"; }

# refuse_in_use: a run that a loop works on, or whose branch is checked out, stays.
refuse_in_use() {
  local where
  if [[ -e runs/.lock ]] && is_run_held; then
    say "${0##*/}: a loop works on run '$TAG': '$(head -n 1 runs/.lock)'"
    say "hint: end it first: TAG=$TAG make stop"
    exit 75
  fi
  where=$(worktree_of "$BRANCH")
  [[ -z $where ]] || die "run '$TAG' is checked out in '$where'" "check out another branch there: git -C '$where' checkout $(other_branch)"
}

# other_branch: prints a branch that is no run's, to go to.
other_branch() { git for-each-ref --format='%(refname:lstrip=2)' --sort=-committerdate refs/heads | awk '!/^autoresearch\// && !found++'; }

# are_dropped WORDS: whether a person, shown what goes, says yes; or has said FORCE=1.
are_dropped() {
  local answer
  [[ ${FORCE:-} != 1 ]] || return 0
  [[ -t 0 ]] || die "nobody is there to say yes to: drop $1" "say it at once: FORCE=1 make ${0##*/}${TAG:+ TAG=$TAG}"
  read -r -p "drop $1? This cannot be undone. [y/N] " answer || answer=
  [[ $answer == [yY]* ]]
}

# drop_run: of TAG, BRANCH and RUN. The refs go last: what was killed in between is dropped by the same again.
drop_run() {
  local link
  mkdir -p runs
  exec 9<>runs/.lock
  lock 9 || ! is_run_held || die "a loop has just begun on run '$TAG'" "end it first: TAG=$TAG make stop"
  unwant # cron starts no loop of it
  chmod -R u+rwX "$RUN" 2>/dev/null || :
  rm -rf "$RUN"
  for link in results.tsv run.log; do
    [[ $(readlink "$link") != "runs/$TAG/"* ]] || rm -f "$link"
  done
  refs_of_run | sed 's/^/delete /' | git update-ref --stdin
  exec 9>&-
  say "dropped: run '$TAG'"
}
