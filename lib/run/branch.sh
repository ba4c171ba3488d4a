# The branch of the run: it moves after a keep, and a person may commit on it. Sourced, after run/current_run.sh; whoever calls
# look_at_branch, keep_commit or put_branch_back holds the verdict lock.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/from_tree.sh"

# look_at_branch: INCUMBENT is the last keep on record. TIP is the commit that experiments are made on now: that, or what a person
# has committed on top of it. COMPARED is the one whose runs are the level: TIP, where a person's commit has changed more than
# words, else INCUMBENT. A commit that changes what is editable is tried as a change of the tree is; one that changes prepare.py ends
# the run; anything else that the branch may be at is put back.
# shellcheck disable=SC2034 # used where this is sourced
look_at_branch() {
  local files edited file
  core catch_up "$RUN"
  read -r INCUMBENT 2>/dev/null <"$RUN/incumbent" || INCUMBENT=
  at_commit
  [[ -n $INCUMBENT ]] || INCUMBENT=$AT # before the baseline
  TIP=$AT COMPARED=$INCUMBENT
  [[ $IS_DELETED == no ]] || restore_branch
  [[ $AT != "$INCUMBENT" ]] || return 0
  if is_on "$AT" "$INCUMBENT"; then # a keep on record, whose flight is not over
    keep_commit "$INCUMBENT"
    return
  elif ! is_on "$INCUMBENT" "$AT"; then
    put_branch_back 'it is not on the incumbent'
    return
  fi
  mapfile -d '' -t files < <(git diff --no-renames --name-only -z "$INCUMBENT" "$AT")
  mapfile -d '' -t edited < <(changed_files "$INCUMBENT" "$AT" --diff-filter=d)
  for file in "${files[@]}"; do
    ! is_one_of "$file" "${edited[@]}" || continue
    case $file in
      *.md | LICENSE | docs/* | autoresearch.toml) ;;
      *) [[ ! -e $RUN/loose ]] || { put_loose_back "$file" && return; } ;;&
      prepare.py) die "prepare.py is '$(git rev-parse --short "$AT:$file")' in commit '${AT:0:7}', but the run was set up with '$(git rev-parse --short "$INCUMBENT:$file")'" "begin a new run: make setup TAG=$(free_tag)" ;;
      *) COMPARED=$AT ;;
    esac
  done
  ((${#edited[@]} == 0)) || try_commit
}

# is_one_of NAME NAME...
is_one_of() {
  local name
  for name in "${@:2}"; do [[ $name != "$1" ]] || return 0; done
  return 1
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

# try_commit: what a person's commit has changed waits as a change of the tree does.
try_commit() {
  save_edit "$(git log -1 --format=%s "$AT" | cut -c1-200)" "$INCUMBENT" commit "$AT"
  put_branch_back "its $(files_told) has not been measured: that is tried as an experiment"
}

# follow PARENT EDIT: where the branch is checked out, what is editable in the person's tree becomes that of the branch; but only those files
# of which index and file are those of the commit that the branch was at before, RUN/behind or else PARENT; or the file is that of the
# folder EDIT, which is in the flight. What else a person has is left as it is. Where they hold the lock of the index, it follows later.
follow() {
  local behind path paths late=no
  if [[ $(git symbolic-ref --quiet HEAD) != "refs/heads/$BRANCH" ]]; then
    rm -f "$RUN/behind"
    return
  fi
  at_commit
  behind=$(cat "$RUN/behind" 2>/dev/null) || :
  [[ $behind =~ ^[0-9a-f]{40,64}$ ]] || behind=$1
  paths=(train.py)
  if ! is_one_file; then
    files_after "$2"
    mapfile -d '' -t paths < <({ changed_files "$behind" "$AT" && printf '%s\0' "${AFTER[@]}"; } | sort -zu)
  fi
  for path in "${paths[@]}"; do
    [[ -z $path ]] || follow_file "$path" "$2" || late=yes
  done
  if [[ $late == yes ]]; then
    put "$RUN/behind" "$behind"
    tell "$(files_told) in the tree follows later: somebody holds the lock of its index"
  else
    rm -f "$RUN/behind"
  fi
}

# follow_file PATH EDIT: one of them; `behind` is the commit that it may be of. Fails where it has to follow later.
follow_file() {
  local old new entry='' mode='' file
  old=$(git rev-parse --quiet --verify "$behind:$1") || old=
  new=$(git rev-parse --quiet --verify "$AT:$1") || new=
  read -r mode entry _ < <(git ls-files --stage -- ":(literal)$1") || :
  file=$(git hash-object --path="$1" "$1" 2>/dev/null) || file=
  [[ $entry != "$new" || $file != "$new" ]] || return 0
  after_of "$2" "$1"
  if [[ $entry == @("$old"|"$new") ]] && { [[ $file == @("$old"|"$new") ]] || cmp -s "$1" "$FILE"; }; then
    bring_file "$1" "$new" "${mode:-100644}" "$entry"
  elif [[ $old != "$new" ]]; then
    tell "$1 in the tree is left as it is, for it has been changed: the incumbent's is: git show $BRANCH:$1"
  fi
}

# bring_file PATH OBJECT MODE ENTRY: that of the branch is in the tree, whole: a half-written one would look like a person's; and in the index,
# where ENTRY is what it has there. One that the branch does not have goes.
bring_file() {
  local options=()
  [[ ! -e $GIT_FOLDER/index.lock ]] || return 1
  if [[ -z $2 ]]; then
    rm -f "$1"
    return
  fi
  [[ $1 != */* ]] || mkdir -p "${1%/*}"
  show_file "$AT" "$1" >"$RUN/followed.new" || return
  [[ ! -x $1 ]] || chmod +x "$RUN/followed.new"
  make_durable "$RUN/followed.new" && mv -f "$RUN/followed.new" "$1" || return
  [[ -n $4 ]] || options=(--add)
  git "${DURABLY[@]}" update-index "${options[@]}" --cacheinfo "$3,$2,$1" 2>/dev/null
}
