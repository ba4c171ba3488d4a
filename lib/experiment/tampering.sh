# What a training run has no business with: that which defines the measurement, and the records. Looked at before and
# after, kept aside where it was changed, and put back; the names are printed, one a line. Sourced.
# shellcheck shell=bash

# What defines the measurement, and is never an experiment's to change.
# shellcheck disable=SC2034 # used where this is sourced
readonly MEASUREMENT=(prepare.py pyproject.toml bin lib schemas)

# put_back COMMIT PATH...: files that are not COMMIT's are first kept under refs/experiments/<tag>/aside/, then
# restored.
put_back() {
  local commit=$1 names
  shift
  on_branch # the files of another branch are none of our business
  mapfile -d '' -t names < <(git diff --name-only --diff-filter=MDT -z "$commit" -- "$@")
  ((${#names[@]})) || return 0
  keep_aside "$commit" "${names[@]}"
  git checkout --quiet "$commit" -- "${names[@]}"
  printf '%s\n' "${names[@]}"
}

# keep_aside COMMIT PATH...: as they are now, in a commit on top of COMMIT that gc leaves alone.
keep_aside() {
  local commit=$1 tree aside
  shift
  tree=$(
    export GIT_INDEX_FILE=$RUN/aside.index
    git read-tree "$commit"
    git add --all --force -- "$@"
    git write-tree
    rm -f "$GIT_INDEX_FILE"
  )
  aside=$(git commit-tree "$tree" -p "$commit" -m "aside: $*, changed while a loop was running")
  git update-ref "refs/experiments/$TAG/aside/$aside" "$aside"
  tell "put back what is not an experiment's to change: '$*'; the changed version is commit ${aside:0:7}"
}

# look_before: what there is, before a training run. What the core says of it is kept where that cannot change it.
look_before() {
  core look_before looked
  mapfile -d '' -t LOOKED <"$RUN/looked"
}

# look_after COMMIT: what the run has changed is put back, and named: records by the core, files of COMMIT by git; new files that we,
# or the next run, would run or import are taken away.
look_after() {
  local found one aside records=() new=() is_changed=no
  printf '%s\0' "${LOOKED[@]}" >"$RUN/looked"
  core look_after found
  mapfile -d '' -t found <"$RUN/found"
  for one in "${found[@]}"; do
    case $one in
      aside\ *) aside=${one#* } ;;
      record\ *) records+=("${one#* }") ;;
      new\ *) new+=("${one#* }") ;;
      *) is_changed=yes ;;
    esac
  done
  if ((${#records[@]})); then
    tell "put back the records that a training run has changed: '${records[*]}'; what it made of them is in 'runs/$TAG/$aside'"
    printf "runs/$TAG/%s\n" "${records[@]}"
  fi
  if ((${#new[@]})); then
    keep_aside "$(git rev-parse HEAD)" "${new[@]}"
    rm -f -- "${new[@]}"
    printf '%s\n' "${new[@]}"
  fi
  [[ $is_changed == no ]] || put_back "$1" train.py "${MEASUREMENT[@]}"
}
