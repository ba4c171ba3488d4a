# The branch of the run. It moves after a keep, and a person may commit on it. Sourced, after run/current_run.sh.
# Callers of look_at_branch, keep_commit and put_branch_back hold the verdict lock.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/from_tree.sh"

# look_at_branch: sets three commits. INCUMBENT is the last keep on record. TIP is the commit that experiments start
# from: the incumbent, or a person's commit on top of it. COMPARED is the commit to compare with: TIP if a person's
# commit changed more than texts, else INCUMBENT. A commit that changes editable files is tried as an experiment. One
# that changes prepare.py ends the run. Any other position of the branch is put back.
# shellcheck disable=SC2034 # used where this is sourced
look_at_branch() {
  local files edited file
  core catch_up "$RUN"
  read -r INCUMBENT 2>/dev/null <"$RUN/incumbent" || INCUMBENT=
  at_commit
  [[ -n $INCUMBENT ]] || INCUMBENT=$AT # no baseline yet
  TIP=$AT COMPARED=$INCUMBENT
  [[ $IS_DELETED == no ]] || restore_branch
  [[ $AT != "$INCUMBENT" ]] || return 0
  if is_on "$AT" "$INCUMBENT"; then # a keep on record whose flight has not settled
    keep_commit "$INCUMBENT"
    return
  elif ! is_on "$INCUMBENT" "$AT"; then
    put_branch_back 'not a descendant of the incumbent'
    return
  fi
  read_all files git diff --no-renames --name-only -z "$INCUMBENT" "$AT"
  read_all edited changed_files "$INCUMBENT" "$AT" --diff-filter=d
  for file in "${files[@]}"; do
    ! is_one_of "$file" "${edited[@]}" || continue
    case $file in
      *.md | LICENSE | docs/* | autoresearch.toml) ;;
      *) [[ ! -e $RUN/loose ]] || { put_loose_back "$file" && return; } ;;&
      prepare.py) die \
        "prepare.py is '$(blob "$AT")' in commit '${AT:0:7}', but the run was set up with '$(blob "$INCUMBENT")'" \
        "start a new run: make setup TAG=$(free_tag)" ;;
      *) COMPARED=$AT ;;
    esac
  done
  ((${#edited[@]} == 0)) || try_commit
}

# blob COMMIT: prints the short id of its prepare.py.
blob() { git rev-parse --short "$1:prepare.py"; }

# is_one_of NAME NAME...
is_one_of() {
  local name
  for name in "${@:2}"; do [[ $name != "$1" ]] || return 0; done
  return 1
}

is_on() { says_yes git merge-base --is-ancestor "$1" "$2"; }

# keep_commit COMMIT: moves the branch forward to COMMIT, if it is not there yet.
keep_commit() {
  at_commit
  TIP=$AT
  ! is_on "$1" "$AT" || return 0
  is_on "$AT" "$1" || put_branch_back "the new incumbent is '${1:0:7}'"
  [[ -e $RUN/behind ]] || put "$RUN/behind" "$AT" # the commit of the person's tree, until it follows
  git "${DURABLY[@]}" update-ref -m 'experiment: keep' "refs/heads/$BRANCH" "$1"
  TIP=$1
}

# put_branch_back WHY: moves the branch to the incumbent. A ref keeps the old commit from gc.
# shellcheck disable=SC2034
put_branch_back() {
  git update-ref "refs/experiments/$TAG/aside/$AT" "$AT"
  git "${DURABLY[@]}" update-ref -m 'experiment: put back' "refs/heads/$BRANCH" "$INCUMBENT"
  tell "moved branch '$BRANCH' from '${AT:0:7}' back to '${INCUMBENT:0:7}': $1"
  # shellcheck disable=SC2034 # used where this is sourced
  TIP=$INCUMBENT COMPARED=$INCUMBENT
}

# put_loose_back FILE: an unconfined proposer may have made the commit, so it is not accepted as a person's.
put_loose_back() { put_branch_back "a commit changed '$1' while proposers run unconfined (stop the loop, commit again, start the loop)"; }

# restore_branch: creates the deleted branch again.
restore_branch() {
  git "${DURABLY[@]}" update-ref -m 'experiment: restored' "refs/heads/$BRANCH" "$INCUMBENT"
  tell "restored the deleted branch '$BRANCH' at '${INCUMBENT:0:7}'"
}

# try_commit: saves the change of a person's commit as a change of the tree, and moves the branch back.
try_commit() {
  local subject
  subject=$(git log -1 --format=%s "$AT" | cut -c1-200)
  save_edit "$subject" "$INCUMBENT" commit "$AT"
  put_branch_back "your commit of $(files_told) is tried as an experiment first"
}

# follow PARENT EDIT: updates the editable files of the person's tree, if the branch is checked out there. Only files
# that the person has not changed since the old commit (RUN/behind, or else PARENT) are replaced, or that equal the file
# in the folder EDIT of the flight. If the index is locked, the files follow later.
follow() {
  local head behind path paths late=no
  value_of head git symbolic-ref --quiet HEAD
  if [[ $head != "refs/heads/$BRANCH" ]]; then
    rm -f "$RUN/behind"
    return
  fi
  at_commit
  behind=$(cat "$RUN/behind" 2>/dev/null) || :
  [[ $behind =~ ^[0-9a-f]{40,64}$ ]] || behind=$1
  files_after "$2"
  read_all paths changed_files "$behind" "$AT"
  # shellcheck disable=SC2153 # AFTER is of files_after
  for path in "${paths[@]}" "${AFTER[@]}"; do
    follow_file "$path" "$2" || late=yes
  done
  if [[ $late == yes ]]; then
    put "$RUN/behind" "$behind"
    tell "$(files_told) in your tree will be updated later, because git's index is locked"
  else
    rm -f "$RUN/behind"
  fi
}

# follow_file PATH EDIT: updates one file; `behind` is the old commit. Fails if it has to follow later.
follow_file() {
  local old new staged entry mode file=''
  object_at "$behind" "$1"
  old=$OBJECT
  object_at "$AT" "$1"
  new=$OBJECT
  staged=$(git ls-files --stage -- ":(literal)$1") || exit 2
  read -r mode entry _ <<<"$staged"
  [[ ! -f $1 ]] || file=$(git hash-object --path="$1" "$1") || exit 2
  [[ $entry != "$new" || $file != "$new" ]] || return 0
  if [[ $entry == @("$old"|"$new") ]] && { [[ $file == @("$old"|"$new") ]] || cmp -s "$1" "$2/after/$1"; }; then
    replace_file "$1" "$new" "${mode:-100644}" "$entry"
  elif [[ $old != "$new" ]]; then
    tell "$1 in your tree has your changes and was not updated; to see the incumbent's: git show $BRANCH:$1"
  fi
}

# replace_file PATH OBJECT MODE ENTRY: puts the branch's file into the tree by rename, so that a kill leaves no half file,
# and into the index, where ENTRY is the current object. A file that the branch does not have is removed.
replace_file() {
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
