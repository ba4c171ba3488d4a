# The files that an experiment may change or add: those that match the git pathspecs of EDITABLE. A folder (a flight, an
# edit) has them in before/, all of them, and in after/, the changed and new ones. lib/lab/store/code.py reads both.
# Sourced by run/current_run.sh.
# shellcheck shell=bash

readonly MOST_FILES=200 # that one experiment may add

# specs: sets SPECS, the pathspecs of the run. bin/setup writes them to RUN/editable unless they are train.py.
specs() {
  [[ ! -v SPECS[@] ]] || return 0
  SPECS=(train.py)
  [[ ! -e $RUN/editable ]] || read -ra SPECS <"$RUN/editable"
}

# is_one_file: whether train.py is the only file.
is_one_file() { specs && [[ ${SPECS[*]} == train.py ]]; }

# editable_files COMMIT [PATHSPEC]...: prints the files of the commit that match, also those of further pathspecs;
# NUL-terminated.
editable_files() {
  local index
  specs
  index=$(mktemp)
  GIT_INDEX_FILE=$index git read-tree "$1"
  GIT_INDEX_FILE=$index git ls-files -z -- "${SPECS[@]}" "${@:2}"
  rm -f "$index"
}

# changed_files COMMIT COMMIT [OPTION]: prints the files that differ, NUL-terminated.
changed_files() {
  specs
  git diff --no-ext-diff --no-renames --name-only -z "${@:3}" "$1" "$2" -- "${SPECS[@]}"
}

# files_after FOLDER: sets AFTER, the changed and new files of the folder.
files_after() {
  local path
  AFTER=()
  shopt -s globstar dotglob
  for path in "$1"/after/**; do
    [[ ! -f $path || -L $path ]] || AFTER+=("${path#"$1/after/"}")
  done
  shopt -u globstar dotglob
}

# show_file COMMIT PATH: prints the file as a checkout would have it.
show_file() { git cat-file --filters "$1:$2"; }

has_file() { object_at "$1" "$2" && [[ -n $OBJECT ]]; }

# write_before COMMIT FOLDER: writes all files of the commit that may change.
write_before() {
  [[ ! -e $2/before ]] || rm -rf "$2/before"
  mkdir "$2/before"
  if is_one_file; then # without an index, which would take two more processes
    show_file "$1" train.py >"$2/before/train.py"
    return
  fi
  GIT_INDEX_FILE=$2/before.index git read-tree "$1"
  GIT_INDEX_FILE=$2/before.index git ls-files -z -- "${SPECS[@]}" |
    GIT_INDEX_FILE=$2/before.index git --work-tree="$2/before" checkout-index --force -z --stdin
  rm -f "$2/before.index"
}

# merge_file FOLDER PATH COMMIT: prints the file of COMMIT with the change of the folder. Fails if both changed the same
# lines.
merge_file() {
  local base=$1/before/$2 ours status=0
  [[ -e $base ]] || base=/dev/null # it is new
  ours=$(mktemp -p "$1" ours.XXXXXX)
  ! has_file "$3" "$2" || show_file "$3" "$2" >"$ours" || exit 2
  merge_texts "$ours" "$base" "$1/after/$2" || status=1
  rm -f "$ours"
  return "$status"
}

# is_same_code FOLDER FOLDER: whether both have the same changed files.
is_same_code() { diff -rq "$1/after" "$2/after" >/dev/null 2>&1; }

# --- Those of the person's tree ---

# edited_files: sets TOUCHED, the files that differ from HEAD, without deleted ones.
edited_files() {
  local new
  specs
  read_all TOUCHED git diff --no-ext-diff --no-renames --name-only --diff-filter=d -z HEAD -- "${SPECS[@]}"
  read_all new new_files "$TREE"
  TOUCHED+=("${new[@]}")
}

# new_files WORK_TREE: prints the untracked files that match, NUL-terminated.
new_files() {
  local all
  specs
  read_all all git --work-tree="$1" ls-files --others --exclude-standard -x __pycache__ -z -- "${SPECS[@]}"
  ((${#all[@]} == 0)) || printf '%s\0' "${all[@]:0:MOST_FILES}"
}

# is_edited: whether the person has changed any.
is_edited() {
  edited_files
  ((${#TOUCHED[@]} > 0))
}

# has_same_edit FOLDER: whether the changes in the tree are those of the folder.
has_same_edit() {
  local path
  edited_files
  files_after "$1"
  ((${#TOUCHED[@]} == ${#AFTER[@]})) || return 1
  for path in "${TOUCHED[@]}"; do
    cmp -s "$path" "$1/after/$path" || return 1
  done
}

# files_told: prints EDITABLE for a person.
files_told() {
  specs
  printf '%s' "${SPECS[*]}"
}
