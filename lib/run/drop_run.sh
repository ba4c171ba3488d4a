# Deletes a run: its branch, its folder and its refs. Sourced, after current_run.sh, tree.sh, restart.sh and
# worktrees.sh.
# shellcheck shell=bash

# refs_of_run: prints the names of all refs of the run.
refs_of_run() { git for-each-ref --format='%(refname)' "refs/heads/$BRANCH" "refs/experiments/$TAG/" "$RECORDS/$TAG" "refs/notes/experiments/$TAG"; }

# refuse_in_use: refuses a run that has a running loop or is checked out.
refuse_in_use() {
  local where
  if [[ -e runs/.lock ]] && is_run_held; then
    say "${0##*/}: a loop is running on run '$TAG': '$(head -n 1 runs/.lock)'"
    say "hint: stop it: TAG=$TAG make stop"
    exit 75
  fi
  where=$(worktree_of "$BRANCH")
  [[ -z $where ]] ||
    die "run '$TAG' is checked out in '$where'" \
      "check out another branch there: git -C '$where' checkout $(other_branch)"
}

# other_branch: prints the newest branch that belongs to no run.
other_branch() { git for-each-ref --format='%(refname:lstrip=2)' --sort=-committerdate refs/heads | awk '!/^autoresearch\// && !found++'; }

# confirm_drop WORDS: whether a person says yes, or said it with FORCE=1.
confirm_drop() {
  local answer
  [[ ${FORCE:-} != 1 ]] || return 0
  [[ -t 0 ]] ||
    die "cannot ask for confirmation without a terminal: drop $1" \
      "confirm in the command: FORCE=1 make ${0##*/}${TAG:+ TAG=$TAG}"
  read -r -p "drop $1? This cannot be undone. [y/N] " answer || answer=
  [[ $answer == [yY]* ]]
}

# drop_run: deletes the run of TAG, BRANCH and RUN. The refs go last, so that a killed drop can be repeated.
drop_run() {
  local link
  mkdir -p runs
  exec 9<>runs/.lock
  lock 9 || ! is_run_held || die "a loop has just started on run '$TAG'" "stop it: TAG=$TAG make stop"
  unwant # cron must not restart its loop
  chmod -R u+rwX "$RUN" 2>/dev/null || :
  rm -rf "$RUN"
  for link in results.tsv run.log; do
    [[ $(readlink "$link") != "runs/$TAG/"* ]] || rm -f "$link"
  done
  refs_of_run | sed 's/^/delete /' | git update-ref --stdin
  exec 9>&-
  say "deleted run '$TAG'"
}
