# Copies the results of a proposer out of its scratch: its output, and its changes of editable files. Sourced, after
# run/current_run.sh; uses FOLDER, FLIGHT, CALL and scratch of the call.
# shellcheck shell=bash

readonly LARGEST=1048576  # bytes of an edited file, and of the proposer's output
readonly LONGEST=67108864 # bytes of a transcript

# bring_back: copies its output, its changes, and as many further candidates as it was asked for.
bring_back() {
  : >"$FOLDER/said"
  : >"$FOLDER/changed"
  : >"$FOLDER/editable"
  [[ ! -L $scratch && ! -L $scratch/tree ]] || return 0 # the proposer replaced a folder by a link
  bring_file said "$FOLDER/said" "$LARGEST"
  bring_file usage.json "$FOLDER/usage.json" "$LARGEST"
  bring_file transcript "$FOLDER/transcript" "$LONGEST"
  [[ ! -e $FOLDER/ideas.given ]] || bring_file tree/ideas.md "$FOLDER/ideas.back" 20000
  bring_changes
  [[ ! -s $FOLDER/want || ! -d $scratch/tree/candidates || -L $scratch/tree/candidates ]] || bring_candidates "$(<"$FOLDER/want")"
  [[ ! -s $CALL/touched ]] || sed 's/^/M\t/' "$CALL/touched" >>"$FOLDER/changed"
}

# bring_file NAME TARGET MOST: copies a plain file of at most MOST bytes; never follows a link, never reads a pipe.
bring_file() { [[ ! -f $scratch/$1 || -L $scratch/$1 ]] || head -c "$3" -- "$scratch/$1" >"$2"; }

# bring_edit PATH TARGET: copies a file of the scratch tree. One byte too many shows a file that is too large.
bring_edit() {
  [[ -f $scratch/tree/$1 && ! -L $scratch/tree/$1 ]] || return 0
  mkdir -p "${2%/*}"
  bring_file "tree/$1" "$2" $((LARGEST + 1))
}

# scratch_git ARGUMENT...: runs git on the scratch copy, with the index of its start.
scratch_git() { GIT_INDEX_FILE=$FLIGHT/index git -c core.fileMode=false --work-tree="$scratch/tree" "$@"; }

# bring_changes: copies the editable files that were changed or added, without ideas.md and further candidates. Writes
# FOLDER/changed, and FOLDER/editable with the lines of editable files: M, A, D or T as in git's --name-status, a tab,
# and the path.
bring_changes() {
  local found path line changed='' editable='' new=0 i
  local -A lines=()
  specs
  read_all found scratch_git diff --no-ext-diff --no-renames --name-status -z
  for ((i = 0; i < ${#found[@]}; i += 2)); do
    line=${found[i]}$'\t'${found[i + 1]//[[:cntrl:]]/?}$'\n'
    lines[${found[i + 1]}]=$line
    changed+=$line
  done
  read_all found scratch_git ls-files --modified --others --exclude-standard -x __pycache__ -z -- "${SPECS[@]}"
  for path in "${found[@]}"; do
    line=${lines[$path]:-}
    if [[ -z $line ]]; then
      if ! is_new_file "$path" || ((new++ >= MOST_FILES)); then continue; fi
      line=A$'\t'$path$'\n'
      changed+=$line
    fi
    editable+=$line
    bring_edit "$path" "$FOLDER/after/$path"
  done
  printf '%s' "$changed" >"$FOLDER/changed"
  printf '%s' "$editable" >"$FOLDER/editable"
  [[ -z $changed ]] || bring_rest "$FOLDER/after"
}

# is_new_file PATH: whether the untracked path is a file of the experiment.
is_new_file() {
  [[ -f $scratch/tree/$1 && ! -L $scratch/tree/$1 && $1 != *[[:cntrl:]]* ]] || return
  [[ $1 != ideas.md || ! -e $FOLDER/ideas.given ]] && { [[ $1 != candidates/* ]] || ! is_wave; }
}

# bring_rest FOLDER: for a proposal that started from another keep, copies the files of that keep that the proposer did
# not change.
bring_rest() {
  local path paths from
  { read -r from <"$FOLDER/from"; } 2>/dev/null || return 0
  read_all paths changed_files "$(<"$FLIGHT/parent")" "$from" --diff-filter=d
  for path in "${paths[@]}"; do
    [[ ! -e $1/$path ]] || continue
    mkdir -p "$(dirname "$1/$path")"
    show_file "$from" "$path" >"$1/$path"
  done
}

# is_wave: whether it was asked for further candidates.
is_wave() { [[ -s $FOLDER/want && $(<"$FOLDER/want") != 1 ]]; }

# bring_candidates COUNT: copies at most COUNT further candidates from candidates/: new files; or folders, if several
# files are editable.
bring_candidates() {
  local path paths left=0
  mkdir -p "$FOLDER/candidates"
  read_all paths candidate_paths
  for path in "${paths[@]}"; do
    [[ -e $scratch/tree/$path && ! -L $scratch/tree/$path ]] || continue
    if ((left++ >= $1)); then
      tell "ignored a candidate beyond the $1 that were asked for: '${path//[[:cntrl:]]/?}'"
    elif is_one_file; then
      bring_edit "$path" "$FOLDER/candidates/${path##*/}"
    else
      bring_folder "${path##*/}"
    fi
  done
}

# candidate_paths: prints their paths, NUL-terminated.
candidate_paths() {
  if is_one_file; then
    scratch_git ls-files --others -z -- ':(glob)candidates/*.py'
  else
    (cd "$scratch/tree" && find candidates -mindepth 1 -maxdepth 1 -type d -name '[[:alnum:]]*' -print0 | sort -z)
  fi
}

# bring_folder NAME: copies candidates/NAME and its description. A candidate with a file that is not editable is
# ignored.
bring_folder() {
  local path from=$scratch/tree/candidates/$1 to=$FOLDER/candidates/$1 all fitting
  local -x GIT_INDEX_FILE=$FLIGHT/none.index # to an empty index all files are new
  read_all all git --work-tree="$from" ls-files --others -x __pycache__ -z
  read_all fitting new_files "$from"
  if ((${#fitting[@]} != ${#all[@]})); then
    tell "ignored a candidate: 'candidates/$1' has a file that an experiment may not change: $(files_told)"
    return
  fi
  mkdir -p "$to"
  for path in "${fitting[@]}"; do bring_edit "candidates/$1/$path" "$to/$path"; done
  bring_file "tree/candidates/$1.txt" "$to.txt" "$LARGEST"
  bring_rest "$to"
}
