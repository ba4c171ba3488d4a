# Objects of git that a run or a proposer has deleted: written again, where their content is at hand. Sourced, after current_run.sh and
# run/branch.sh.
# shellcheck shell=bash

# is_whole_commit COMMIT: whether it is there, with all of its files, and they are what their names say: so far as git looks at a name.
is_whole_commit() { git rev-list --objects --no-walk --quiet "$1" 2>/dev/null; }

# mend_lost: of the incumbent, and of the commit of FLIGHT, where there is one. Fails where nothing was lost, or nothing could be mended.
mend_lost() {
  local incumbent commit status=1
  incumbent=$(cat "$RUN/incumbent" 2>/dev/null) || return
  if ! is_whole_commit "$incumbent"; then
    write_again "$incumbent" || return
    tell "objects of the incumbent, '${incumbent:0:7}', were gone from git: they are written again"
    status=0
  fi
  commit=$(cat "${FLIGHT:-none}/commit" 2>/dev/null) || return "$status"
  if ! is_on_record "$commit" && ! is_whole_commit "$commit"; then
    mv -f "$FLIGHT/commit" "$FLIGHT/replaced"
    send_back 20 0
    tell "the commit of flight '${FLIGHT##*/}' was gone from git: it is made again"
    status=0
  fi
  return "$status"
}

# write_again COMMIT: itself, its root and its train.py from what keep_content has kept, the rest from the checkouts and the tree.
write_again() {
  local folder index kind
  for kind in commit tree blob; do
    [[ ! -e $RUN/commits/$1/$kind ]] || git hash-object -t "$kind" -w --no-filters "$RUN/commits/$1/$kind" >/dev/null 2>&1 || :
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

# keep_content COMMIT: of the incumbent, what no checkout has.
keep_content() {
  local new=$RUN/commits.new
  rm -rf "$new"
  mkdir -p "$new/$1"
  git cat-file commit "$1" >"$new/$1/commit"
  git cat-file tree "$1^{tree}" >"$new/$1/tree"
  git cat-file blob "$1:train.py" >"$new/$1/blob"
  rm -rf "$RUN/commits"
  mv "$new" "$RUN/commits"
}
