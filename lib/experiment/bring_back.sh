# What comes back of a proposer's scratch copy: what it has changed of what is editable. Sourced, after run/current_run.sh; FOLDER, FLIGHT and
# scratch are those of the call.
# shellcheck shell=bash

readonly LARGEST=1048576 # bytes of a file that an experiment edits

# bring_back: its train.py, and so many further candidates as it was asked for, where they are plain files: one byte more than may be
# shows that one is too large.
bring_back() {
  local path=$scratch/tree/train.py
  scratch_changes --name-status >"$FOLDER/changed"
  if ! is_one_file; then
    bring_files
    return
  fi
  [[ ! -f $path || -L $path ]] || head -c $((LARGEST + 1)) -- "$path" >"$FOLDER/train.py"
  [[ ! -s $FOLDER/want || ! -d $scratch/tree/candidates || -L $scratch/tree/candidates ]] || bring_candidates "$(<"$FOLDER/want")"
}

# scratch_changes ARGUMENT...: git diff of the scratch copy with what it was.
scratch_changes() {
  GIT_INDEX_FILE=$FLIGHT/index git -c core.fileMode=false --work-tree="$scratch/tree" diff --no-ext-diff --no-renames "$@"
}

# bring_files: of what is editable, the files that it has changed or added. FOLDER/editable are the lines of `changed` about them.
bring_files() {
  local path
  rm -rf "$FOLDER/after"
  mkdir "$FOLDER/after"
  while IFS= read -r -d '' path; do
    [[ -f $scratch/tree/$path && ! -L $scratch/tree/$path && $path != *$'\n'* ]] || continue
    printf 'A\t%s\n' "$path" >>"$FOLDER/changed"
    bring_file_after "$path"
  done < <(GIT_INDEX_FILE=$FLIGHT/index new_files "$scratch/tree")
  while IFS= read -r -d '' path; do
    [[ ! -f $scratch/tree/$path || -L $scratch/tree/$path ]] || bring_file_after "$path"
  done < <(scratch_changes --name-only -z -- "${SPECS[@]}")
  { scratch_changes --name-status -- "${SPECS[@]}" && sed -n '/^A\t/p' "$FOLDER/changed"; } >"$FOLDER/editable"
}

bring_file_after() {
  mkdir -p "$(dirname "$FOLDER/after/$1")"
  head -c $((LARGEST + 1)) -- "$scratch/tree/$1" >"$FOLDER/after/$1"
}

# bring_candidates COUNT: the new files in candidates/, so many at most.
bring_candidates() {
  local path left=0
  mkdir -p "$FOLDER/candidates"
  while IFS= read -r -d '' path; do
    [[ -f $scratch/tree/$path && ! -L $scratch/tree/$path ]] || continue
    if ((left++ < $1)); then
      head -c $((LARGEST + 1)) -- "$scratch/tree/$path" >"$FOLDER/candidates/${path##*/}"
    else
      tell "left out, for $1 were asked for: '${path//[[:cntrl:]]/?}'"
    fi
  done < <(GIT_INDEX_FILE=$FLIGHT/index git --work-tree="$scratch/tree" ls-files --others -z -- ':(glob)candidates/*.py')
}
