# The keeps of a run as commits on another branch (bin/take): merges them into the files of OLD, a commit of the branch
# ONTO, and makes the commits. The branch does not move yet. Sourced, after current_run.sh.
# shellcheck shell=bash

# taken_before: prints the commits that ONTO has copies of, by the line that `git cherry-pick -x` writes.
taken_before() {
  local begin='(cherry picked from commit '
  git log --format=%B "$OLD" --grep="$begin" | sed -n "s/^$begin\([0-9a-f]*\))\$/\1/p"
}

# merge_keep COMMIT PARENT: merges the changes of that keep into the index. Fails on a conflict: FILE is the file, and
# MERGED has both sides.
merge_keep() {
  local staged before after ours paths
  read_all paths changed_files "$2" "$1" --diff-filter=d
  for FILE in "${paths[@]}"; do
    staged=$(git ls-files --stage -- ":(literal)$FILE") || exit 2
    read -r _ ours _ <<<"$staged"
    ours=${ours:-$NOTHING}
    object_at "$2" "$FILE"
    before=${OBJECT:-$NOTHING}
    object_at "$1" "$FILE"
    after=$OBJECT
    if [[ $before != "$ours" ]]; then
      git cat-file blob "$ours" >"$SCRATCH/ours" || exit 2
      git cat-file blob "$before" >"$SCRATCH/before" || exit 2
      git cat-file blob "$after" >"$SCRATCH/theirs" || exit 2
      merge_texts "$SCRATCH/ours" "$SCRATCH/before" "$SCRATCH/theirs" >"$MERGED" || return 1
      after=$(git hash-object -w --no-filters "$MERGED") || exit 2
    fi
    git update-index --add --cacheinfo "$OBJECT_MODE,$after,$FILE" || exit 2
  done
}

# merge_all: merges all KEEPS. Sets FITTING to the numbers of those that change a file of ONTO, and TREES to its tree
# after each; REFUSED to those with a conflict, and WHY to the first file and line that both have changed.
merge_all() {
  local n commit parent tree was
  local -x GIT_INDEX_FILE=$SCRATCH/index
  NOTHING=$(git hash-object -w --stdin </dev/null) # the empty file
  MERGED=$SCRATCH/merged TAKEN=$(taken_before)
  FITTING=() TREES=() REFUSED=() WHY=''
  git read-tree "$OLD"
  was=$(git write-tree --missing-ok)
  while read -r n commit parent; do
    if [[ -z ${N:-} && $TAKEN == *"$commit"* ]]; then
      say "#$n is on '$ONTO' already"
      continue
    fi
    if ! merge_keep "$commit" "$parent"; then
      git read-tree "$was"
      REFUSED+=("$n")
      [[ -n $WHY ]] || WHY="$FILE$(sed -n "/^<<<<<<< /,/^=======/{//d;s/^ */, as '/p;q}" "$MERGED" | cut -c 1-66)"
      continue
    fi
    tree=$(git "${DURABLY[@]}" write-tree --missing-ok)
    if [[ $tree == "$was" ]]; then
      say "#$n changes nothing on '$ONTO', which has the same lines"
    else
      FITTING+=("$n")
      TREES+=("$tree")
      was=$tree
    fi
  done <<<"$KEEPS"
}

refuse_conflict() {
  local hint="apply it by hand: make show TAG=$TAG N=${REFUSED[0]}"
  ((${#FITTING[@]} == 0)) || hint="take the others: make take TAG=$TAG ONTO='$ONTO' N='${FITTING[*]}'; $hint"
  [[ $WHY != *\'* ]] || WHY+=\'
  die "#${REFUSED[*]} cannot be taken: '$ONTO' has changed the same lines of $WHY" "$hint"
}

# commit_all: sets NEW to OLD plus a commit for each keep, or one for all.
commit_all() {
  local at squash=()
  [[ ${SQUASH:-} != 1 ]] || squash=(--squash)
  "$LAB" take-messages "$RUN" "$SCRATCH" "${FITTING[@]}" "${squash[@]}"
  NEW=$OLD
  if ((${#squash[@]})); then
    commit_one "$SCRATCH/squash" "${TREES[-1]}"
    return
  fi
  for at in "${!FITTING[@]}"; do
    commit_one "$SCRATCH/${FITTING[at]}" "${TREES[at]}"
  done
}

# commit_one MESSAGE_FILE TREE
commit_one() { NEW=$(git "${DURABLY[@]}" commit-tree "$2" -p "$NEW" -F "$1"); }
