# The branch of the run: it moves after a keep, and a person may commit on it. Sourced, after run/current_run.sh; whoever calls
# look_at_branch, keep_commit or put_branch_back holds the verdict lock.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/from_tree.sh"

# look_at_branch: INCUMBENT is the last keep on record. TIP is the commit that experiments are made on now: that, or what a person
# has committed on top of it. COMPARED is the one whose runs are the level: TIP, where a person's commit has changed more than
# words, else INCUMBENT. A commit that changes train.py is tried as a change of the tree is; one that changes prepare.py ends
# the run; anything else that the branch may be at is put back.
# shellcheck disable=SC2034 # used where this is sourced
look_at_branch() {
  local file
  core catch_up "$RUN"
  read -r INCUMBENT 2>/dev/null <"$RUN/incumbent" || INCUMBENT=
  at_commit
  [[ -n $INCUMBENT ]] || INCUMBENT=$AT # before the baseline
  TIP=$AT COMPARED=$INCUMBENT
  [[ $IS_DELETED == no ]] || restore_branch
  [[ $AT != "$INCUMBENT" ]] || return 0
  if is_on "$AT" "$INCUMBENT"; then # a keep on record, whose flight is not over
    keep_commit "$INCUMBENT"
  elif ! is_on "$INCUMBENT" "$AT"; then
    put_branch_back 'it is not on the incumbent'
  else
    while IFS= read -r -d '' file; do
      case $file in
        train.py) try_commit && return ;;
        *.md | LICENSE | docs/*) ;;
        *) [[ ! -e $RUN/loose ]] || { put_loose_back "$file" && return; } ;;&
        prepare.py) die "prepare.py is '$(git rev-parse --short "$AT:$file")' in commit '${AT:0:7}', but the run was set up with '$(git rev-parse --short "$INCUMBENT:$file")'" "begin a new run: make setup TAG=$(free_tag)" ;;
        *) COMPARED=$AT ;;
      esac
    done < <(git diff --no-renames --name-only -z "$INCUMBENT" "$AT")
  fi
}

is_on() { git merge-base --is-ancestor "$1" "$2"; }

# keep_commit COMMIT: the branch moves there, unless it is there, or beyond it.
keep_commit() {
  at_commit
  TIP=$AT
  ! is_on "$1" "$AT" || return 0
  is_on "$AT" "$1" || put_branch_back "the incumbent is '${1:0:7}'"
  [[ -e $RUN/behind ]] || put "$RUN/behind" "$AT" # where the tree is, until it has followed
  git "${DURABLY[@]}" update-ref -m 'experiment: keep' "refs/heads/$BRANCH" "$1"
  TIP=$1
}

# put_branch_back WHY: to the incumbent on record; where it was is kept from gc.
# shellcheck disable=SC2034
put_branch_back() {
  git update-ref "refs/experiments/$TAG/aside/$AT" "$AT"
  git "${DURABLY[@]}" update-ref -m 'experiment: put back' "refs/heads/$BRANCH" "$INCUMBENT"
  tell "branch '$BRANCH' is put back to '${INCUMBENT:0:7}': it was at '${AT:0:7}', and $1"
  # shellcheck disable=SC2034 # used where this is sourced
  TIP=$INCUMBENT COMPARED=$INCUMBENT
}

# put_loose_back FILE: where a proposer is at work that nothing holds, nobody can tell its commit from a person's.
put_loose_back() { put_branch_back "a commit on it has changed '$1' while proposers are not confined: stop the loop, commit it again, and start it"; }

# restore_branch: somebody has deleted it.
restore_branch() {
  git "${DURABLY[@]}" update-ref -m 'experiment: restored' "refs/heads/$BRANCH" "$INCUMBENT"
  tell "branch '$BRANCH' was deleted, and is put back to '${INCUMBENT:0:7}'"
}

# try_commit: the train.py of a person's commit waits as a change of the tree does.
try_commit() {
  local text
  text=$(mktemp -p "$RUN" edit.XXXXXX)
  git cat-file --filters "$AT:train.py" >"$text"
  save_edit "$(git log -1 --format=%s "$AT" | cut -c1-200)" "$text" "$INCUMBENT" commit
  rm -f "$text"
  put_branch_back 'its train.py has not been measured: that is tried as an experiment'
}

# follow PARENT EDIT: where the branch is checked out, the person's train.py becomes that of the branch; but only where index and file
# are those of the commit that the branch was at before, RUN/behind or else PARENT; or the file is EDIT, which is in the flight.
# What else a person has is left as it is. Where they hold the lock of the index, it follows later.
follow() {
  local behind old new entry mode file
  if [[ $(git symbolic-ref --quiet HEAD) != "refs/heads/$BRANCH" ]]; then
    rm -f "$RUN/behind"
    return
  fi
  at_commit
  behind=$(cat "$RUN/behind" 2>/dev/null) || :
  [[ $behind =~ ^[0-9a-f]{40,64}$ ]] || behind=$1
  { read -r old && read -r new; } < <(git rev-parse "$behind:train.py" "$AT:train.py")
  read -r mode entry _ < <(git ls-files --stage -- train.py) || :
  file=$(git hash-object --path=train.py train.py 2>/dev/null) || file=
  if [[ $entry == "$new" && $file == "$new" ]]; then
    rm -f "$RUN/behind"
  elif [[ $entry == @("$old"|"$new") ]] && { [[ $file == @("$old"|"$new") ]] || cmp -s train.py "$2"; }; then
    if bring_train "$AT" && git "${DURABLY[@]}" update-index --cacheinfo "$mode,$new,train.py" 2>/dev/null; then
      rm -f "$RUN/behind"
    else
      put "$RUN/behind" "$behind"
      tell 'train.py in the tree follows later: somebody holds the lock of its index'
    fi
  else
    rm -f "$RUN/behind"
    [[ $old == "$new" ]] || tell "train.py in the tree is left as it is, for it has been changed: the incumbent's is: git show $BRANCH:train.py"
  fi
}

# bring_train COMMIT: its train.py is in the tree, whole: a half-written one would look like a person's.
bring_train() {
  [[ ! -e $GIT_FOLDER/index.lock ]] || return 1
  git cat-file --filters "$1:train.py" >"$RUN/train.py.new"
  [[ ! -x train.py ]] || chmod +x "$RUN/train.py.new"
  make_durable "$RUN/train.py.new"
  mv -f "$RUN/train.py.new" train.py
}
