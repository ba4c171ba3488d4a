# All runs of this tree, found by folder, branch, or records in git. Sourced in the tree, after current_run.sh, tree.sh
# and restart.sh.
# shellcheck shell=bash

# all_tags: sets TAGS_THERE, sorted by name.
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

# facts_of_runs TAG...: prints the facts that lib/lab/views/runs.py reads.
facts_of_runs() {
  local tag left
  # make take names the keep in its commit message; a merged branch contains the keep itself.
  git log --exclude='autoresearch/*' --branches --exclude='*/autoresearch/*' --remotes --grep='^experiment: ' --grep='(cherry picked from commit ' --format='taken %H%n%B' |
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

# state_of_loop: prints running, dead or stopped, for the run of TAG and RUN.
state_of_loop() {
  if [[ -e runs/.lock ]] && is_run_held; then
    printf 'running'
  elif is_wanted; then
    printf 'dead'
  else
    printf 'stopped'
  fi
}
