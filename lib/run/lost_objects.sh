# Restores git objects that a run or a proposer has deleted, if their content is still on disk. Sourced, after
# current_run.sh and run/branch.sh.
# shellcheck shell=bash

# is_whole_commit COMMIT: whether git has the commit and all of its files.
is_whole_commit() { says_yes git rev-list --objects --no-walk --missing=allow-promisor --quiet "$1" 2>/dev/null; }

# mend_lost: restores the incumbent and the commit of FLIGHT. Fails if nothing was lost, or nothing could be restored.
mend_lost() {
  local incumbent commit status=1
  incumbent=$(cat "$RUN/incumbent" 2>/dev/null) || return
  if ! is_whole_commit "$incumbent"; then
    write_again "$incumbent" || return
    tell "restored deleted git objects of the incumbent '${incumbent:0:7}'"
    status=0
  fi
  commit=$(cat "${FLIGHT:-none}/commit" 2>/dev/null) || return "$status"
  if ! is_on_record "$commit" && ! is_whole_commit "$commit"; then
    mv -f "$FLIGHT/commit" "$FLIGHT/replaced"
    send_back 20 0
    tell "the commit of experiment '${FLIGHT##*/}' was deleted from git: making it again"
    status=0
  fi
  return "$status"
}

# write_again COMMIT: writes the objects that keep_content saved, and the other files from the checkouts and the tree.
write_again() {
  local folder index kept kind
  for kept in "$RUN/commits/$1"/*; do
    kind=${kept##*/}
    git hash-object -t "${kind%%.*}" -w --no-filters "$kept" >/dev/null 2>&1 || :
  done
  for folder in "$RUN"/slots/[0-9]* "$TREE"; do
    [[ -d $folder ]] || continue
    index=$RUN/slots/${folder##*/}.index
    [[ $folder != "$TREE" ]] || index=$GIT_FOLDER/index
    GIT_INDEX_FILE=$index git ls-files -z 2>/dev/null |
      (cd "$folder" && while IFS= read -r -d '' file; do [[ ! -f $file ]] || printf '%s\n' "$file"; done |
        git --git-dir="$COMMON_DIR" --work-tree="$folder" -c core.bare=false hash-object -w --stdin-paths) >/dev/null 2>&1 || :
    GIT_INDEX_FILE=$index git write-tree >/dev/null 2>&1 || :
    ! is_whole_commit "$1" || return 0
  done
  is_whole_commit "$1"
}

# keep_content COMMIT: saves the parts of the incumbent that no checkout has.
keep_content() {
  local new=$RUN/commits.new paths entries kind object number
  rm -rf "$new"
  mkdir -p "$new/$1"
  git cat-file commit "$1" >"$new/$1/commit"
  git cat-file tree "$1^{tree}" >"$new/$1/tree"
  if is_one_file; then
    git cat-file blob "$1:train.py" >"$new/$1/blob"
  else
    read_all paths editable_files "$1"
    for number in "${!paths[@]}"; do
      git cat-file blob "$1:${paths[number]}" >"$new/$1/blob.$number"
    done
    read_all entries git ls-tree -r -d -z "$1"
    for number in "${!entries[@]}"; do
      read -r _ kind object _ <<<"${entries[number]}"
      [[ $kind != tree ]] || git cat-file tree "$object" >"$new/$1/tree.$number"
    done
  fi
  rm -rf "$RUN/commits"
  mv "$new" "$RUN/commits"
}
