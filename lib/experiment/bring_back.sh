# Copies the results of a proposer out of its scratch: its output, and its changes of editable files. Sourced, after
# run/current_run.sh; uses FOLDER, FLIGHT, CALL and scratch of the call.
# shellcheck shell=bash

readonly LARGEST=1048576  # bytes of an edited file, and of the proposer's output
readonly LONGEST=67108864 # bytes of a transcript

# bring_back: copies its output, its changes, and as many further candidates as it was asked for.
bring_back() {
  : >"$FOLDER/said"
  : >"$FOLDER/changed"
  [[ ! -L $scratch && ! -L $scratch/tree ]] || return 0 # the proposer replaced a folder by a link
  bring_file said "$FOLDER/said" "$LARGEST"
  bring_file usage.json "$FOLDER/usage.json" "$LARGEST"
  bring_file transcript "$FOLDER/transcript" "$LONGEST"
  scratch_changes --name-status >"$FOLDER/changed"
  [[ ! -e $FOLDER/ideas.given ]] || bring_file tree/ideas.md "$FOLDER/ideas.back" 20000
  bring_edited
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

# scratch_changes ARGUMENT...: git diff between the scratch copy and its start.
scratch_changes() {
  GIT_INDEX_FILE=$FLIGHT/index git -c core.fileMode=false --work-tree="$scratch/tree" diff --no-ext-diff --no-renames "$@"
}

# bring_edited: copies the editable files that were changed or added, without ideas.md and further candidates.
# FOLDER/editable holds their lines of `changed`.
bring_edited() {
  local path new edited
  specs
  rm -rf "$FOLDER/after"
  mkdir "$FOLDER/after"
  GIT_INDEX_FILE=$FLIGHT/index read_all new new_files "$scratch/tree"
  for path in "${new[@]}"; do
    [[ -f $scratch/tree/$path && ! -L $scratch/tree/$path && $path != *$'\n'* ]] || continue
    if [[ $path == ideas.md && -e $FOLDER/ideas.given ]] || { [[ $path == candidates/* ]] && is_wave; }; then continue; fi
    printf 'A\t%s\n' "$path" >>"$FOLDER/changed"
    bring_edit "$path" "$FOLDER/after/$path"
  done
  read_all edited scratch_changes --name-only -z -- "${SPECS[@]}"
  for path in "${edited[@]}"; do bring_edit "$path" "$FOLDER/after/$path"; done
  { scratch_changes --name-status -- "${SPECS[@]}" && sed -n '/^A\t/p' "$FOLDER/changed"; } >"$FOLDER/editable"
  [[ ! -s $FOLDER/changed ]] || bring_rest "$FOLDER/after"
}

# bring_rest FOLDER: for a proposal that started from another keep, copies the files of that keep that the proposer did
# not change.
bring_rest() {
  local path paths from
  from=$(cat "$FOLDER/from" 2>/dev/null) || return 0
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
    GIT_INDEX_FILE=$FLIGHT/index git --work-tree="$scratch/tree" ls-files --others -z -- ':(glob)candidates/*.py'
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
