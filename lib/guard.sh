# What a training run has no business with: that which defines the measurement, and the records. Looked at before and
# after, kept aside where it was changed, and put back; the names are printed, one a line. Sourced.
# shellcheck shell=bash

# What defines the measurement, and is never an experiment's to change.
# shellcheck disable=SC2034 # used where this is sourced
readonly MEASUREMENT=(prepare.py pyproject.toml bin lib schemas)

# train_is_of_flight: whether train.py is one of those that the experiment in flight puts there, or has taken from there.
train_is_of_flight() {
  local one
  for one in train.py before.py edit/train.py; do
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
new_files() (
  shopt -s nullglob
  printf '%s\0' *.py *.pyc *.so */__init__.py */__init__.pyc
  git ls-files -z --others --exclude=__pycache__/ -- bin lib schemas
)

# records: the plain files among the records that are there, by their paths in $RUN. flight/word is this very step's.
records() (
  shopt -s nullglob
  cd "$RUN" || return
  for path in results.tsv experiments.jsonl changes.jsonl reruns.jsonl manifest.json audit.json start flight/*; do
    [[ ! -f $path || $path == flight/word ]] || printf '%s\n' "$path"
  done
)

# record_sums: a line of hash and path for each record.
record_sums() { (cd "$RUN" && records | xargs -r -d '\n' sha256sum --); }

# look_before: a copy of the records, and what there is, before a training run.
look_before() {
  local path
  rm -rf "$RUN/kept"
  mkdir -p "$RUN/kept/flight"
  while IFS= read -r path; do
    cp -p -- "$RUN/$path" "$RUN/kept/$path"
  done < <(records)
  SUMS_BEFORE=$(record_sums)
  mapfile -d '' -t FILES_BEFORE < <(new_files)
}

# put_back_records: as look_before found them.
put_back_records() {
  local sums path aside names
  sums=$(record_sums)
  [[ $sums != "$SUMS_BEFORE" ]] || return 0
  (cd "$RUN/kept" && sha256sum --check --status <<<"$SUMS_BEFORE") ||
    die "the records of run '$TAG' were changed, and so were their copies" "look at '$RUN' before anything else is run"
  mapfile -t names < <(comm -3 <(sort <<<"$sums") <(sort <<<"$SUMS_BEFORE") | sed 's/^\t*[^ ]*  //' | sort -u)
  aside=$RUN/aside/$(date +%Y%m%d-%H%M%S)
  mkdir -p "$aside/flight"
  for path in "${names[@]}"; do
    [[ ! -e $RUN/$path ]] || mv -f -- "$RUN/$path" "$aside/$path"
    [[ ! -e $RUN/kept/$path ]] || cp -p -- "$RUN/kept/$path" "$RUN/$path"
  done
  tell "put back the records that a training run has changed: '${names[*]}'; what it made of them is in '${aside#"$ROOT/"}'"
  printf "runs/$TAG/%s\n" "${names[@]}"
}

# put_away_new_files: those that came in the meantime.
put_away_new_files() {
  local path name names=()
  declare -A before=()
  for path in "${FILES_BEFORE[@]}"; do
    before[$path]=1
  done
  while IFS= read -r -d '' path; do
    [[ -n ${before[$path]:-} ]] || names+=("$path")
  done < <(new_files)
  ((${#names[@]})) || return 0
  keep_aside "$(git rev-parse HEAD)" "${names[@]}"
  for name in "${names[@]}"; do
    rm -f -- "$name"
  done
  printf '%s\n' "${names[@]}"
}
