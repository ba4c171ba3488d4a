# All runs that this tree knows: by their folder, their branch, or their records in git. Sourced, after current_run.sh, tree.sh and
# restart.sh, in the tree.
# shellcheck shell=bash

# all_tags: sets TAGS_THERE, in the order of their names.
all_tags() {
  local path
  # shellcheck disable=SC2034 # used where this is sourced
  mapfile -t TAGS_THERE < <({
    for path in runs/*/start; do
      [[ ! -e $path ]] || printf '%s\n' "${path:5:-6}"
    done
    git for-each-ref --format='%(refname:lstrip=3)' refs/heads/autoresearch/ "$RECORDS/" | sed 's,^_records/,,'
  } | LC_ALL=C sort -u)
}

# facts_of_runs TAG...: for lib/lab/views/runs.py.
facts_of_runs() {
  local tag left
  # A copy by make take names the keep; a branch that was merged has it.
  git log --exclude='autoresearch/*' --branches --grep='^experiment: ' --grep='(cherry picked from commit ' --format='taken %H%n%B' |
    sed -n 's/^taken \([0-9a-f]*\)$/taken \1/p; s/^(cherry picked from commit \([0-9a-f]*\))$/taken \1/p'
  for tag; do
    left=
    [[ ! -e runs/$tag/manifest.json ]] || left+=,folder
    ! git show-ref --verify --quiet "refs/heads/autoresearch/$tag" || left+=,branch
    ! has_records "$tag" || left+=,git
    [[ -n $left ]] || left=,nothing
    printf 'run %s %s %s\n' "$tag" "$(TAG=$tag RUN=$TREE/runs/$tag state_of_loop)" "${left:1}"
  done
}

# state_of_loop: of the run that TAG and RUN name.
state_of_loop() {
  if [[ -e runs/.lock ]] && is_run_held; then
    printf 'running'
  elif is_wanted; then
    printf 'dead'
  else
    printf 'stopped'
  fi
}
