# The commit of a flight: its tree and the commit, without the branch. Sourced by 20-commit, after current_run.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/tree_with_train.sh"

# make_tree PARENT: sets OBJECT to the parent's tree with the candidate's files. For train.py alone without an index,
# which would hold all files.
make_tree() {
  local blob
  files_after "$FLIGHT"
  if ((${#AFTER[@]} == 0)); then
    OBJECT=$(git rev-parse "$1^{tree}")
    return
  fi
  if ! is_one_file; then
    make_tree_of_files "$1"
    return
  fi
  blob=$(git "${DURABLY[@]}" hash-object -w --path=train.py "$FLIGHT/after/train.py")
  tree_with_train "$1" "$blob"
}

# make_tree_of_files PARENT: the same for several files; a new one is an ordinary file.
make_tree_of_files() {
  local path blob mode staged
  local -x GIT_INDEX_FILE=$FLIGHT/tree.index
  rm -f "$GIT_INDEX_FILE"{,.lock}
  git read-tree "$1"
  for path in "${AFTER[@]}"; do
    blob=$(git "${DURABLY[@]}" hash-object -w --path="$path" "$FLIGHT/after/$path")
    staged=$(git ls-files --stage -- ":(literal)$path")
    read -r mode _ <<<"$staged"
    git update-index --add --cacheinfo "${mode:-100644},$blob,$path"
  done
  OBJECT=$(git "${DURABLY[@]}" write-tree --missing-ok)
  rm -f "$GIT_INDEX_FILE"
}

# make_commit PARENT: sets COMMIT to a commit of OBJECT. The ledger knows a commit by 7 digits, so a later second is
# tried until they are new to it, and to all flights. One flight does this at a time (dispatch).
make_commit() {
  local second zone
  printf -v second '%(%s)T' -1
  printf -v zone '%(%z)T' -1
  while :; do
    COMMIT=$(GIT_AUTHOR_DATE="@$second $zone" GIT_COMMITTER_DATE="@$second $zone" \
      git "${DURABLY[@]}" commit-tree "$OBJECT" -p "$1" <<<"experiment: $(<"$FLIGHT/description")")
    grep -qs "^${COMMIT:0:7}" "$RUN/results.tsv" "$RUN"/flights/f*/commit || break
    second=$((second + 1))
  done
}
