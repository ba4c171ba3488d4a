# What a training run has no business with: that which defines the measurement, and the records. Looked at before and
# after, kept aside where it was changed, and put back; the names are printed, one a line. Sourced.
# shellcheck shell=bash

# What defines the measurement, and is never an experiment's to change.
# shellcheck disable=SC2034 # used where this is sourced
readonly MEASUREMENT=(prepare.py pyproject.toml bin lib schemas)

# train_is_of_flight: whether train.py is one of those that the experiment in flight puts there, or has taken from there.
train_is_of_flight() {
  local one
  for one in before.py train.py edit/train.py; do
    ! cmp -s train.py "$FLIGHT/$one" || return 0
  done
  return 1
}

# train_is_ours: or a change that waits, which is saved.
train_is_ours() { train_is_of_flight || cmp -s train.py "$RUN/edit/train.py"; }

# mend_train: what a kill, or a power cut, has left of a train.py that was being written: nothing, or its beginning.
mend_train() {
  local whole
  train_is_ours && return
  for whole in "$FLIGHT/train.py" "$FLIGHT/before.py"; do
    [[ -f $whole && -f $FLIGHT/before.py ]] || continue
    if [[ ! -e train.py ]] || cmp -s -n "$(stat -c %s train.py)" train.py "$whole"; then
      cp "$FLIGHT/before.py" train.py
      return
    fi
  done
}

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

# new_files: what git does not track, and we, or the next training run, would run or import.
# They are NEW_FILES then.
new_files() {
  mapfile -d '' -t NEW_FILES < <(git ls-files -z --others --exclude=__pycache__/ -- bin lib schemas)
  shopt -s nullglob
  NEW_FILES+=(*.py *.pyc *.so */__init__.py */__init__.pyc)
  shopt -u nullglob
}

# look_before: what there is, before a training run. What the core says of the records is kept where that cannot change it.
look_before() {
  core look_before looked
  mapfile -t LOOKED <"$RUN/looked"
  new_files
  FILES_BEFORE=("${NEW_FILES[@]}")
}

# put_back_records: as look_before found them.
put_back_records() {
  local names aside
  printf '%s\n' "${LOOKED[@]}" >"$RUN/looked"
  core put_back put-back
  mapfile -t names <"$RUN/put-back"
  ((${#names[@]})) || return 0
  aside=${names[0]} names=("${names[@]:1}")
  tell "put back the records that a training run has changed: '${names[*]}'; what it made of them is in 'runs/$TAG/$aside'"
  printf "runs/$TAG/%s\n" "${names[@]}"
}

# put_away_new_files: those that came in the meantime.
put_away_new_files() {
  local path name names=()
  declare -A before=()
  for path in "${FILES_BEFORE[@]}"; do
    before[$path]=1
  done
  new_files
  for path in "${NEW_FILES[@]}"; do
    [[ -n ${before[$path]:-} ]] || names+=("$path")
  done
  ((${#names[@]})) || return 0
  keep_aside "$(git rev-parse HEAD)" "${names[@]}"
  for name in "${names[@]}"; do
    rm -f -- "$name"
  done
  printf '%s\n' "${names[@]}"
}
