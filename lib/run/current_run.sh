# The run whose branch is checked out: its paths, its branch, and the links to it in the root of the tree. Sourced.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used where this is sourced
readonly CALLED_FROM=$PWD # what a relative path of a person's is relative to
# What git writes outlives a power cut; by itself it syncs no object and no ref.
# shellcheck disable=SC2034 # used where this is sourced
readonly DURABLY=(-c 'core.fsync=loose-object,reference,index')

# open_run: exports TAG, BRANCH, RUN, FLIGHT, HEAD_FILE and COMMON_DIR (of git), the words that the steps work with; mends the
# links in the root.
open_run() {
  local branch dirs
  branch=$(git -C "$TREE" symbolic-ref --quiet --short HEAD 2>/dev/null) || branch=
  [[ $branch == autoresearch/* ]] || die "no run is checked out: HEAD is at '${branch:-no branch}'" 'start one: make setup TAG=mar14'
  if [[ -n ${TAG+set} && $TAG != "${branch#autoresearch/}" ]]; then
    die "TAG '$TAG' is not the run that is checked out, '${branch#autoresearch/}'" "git checkout 'autoresearch/$TAG'"
  fi
  export TAG=${branch#autoresearch/} BRANCH=$branch
  export RUN=$TREE/runs/$TAG
  export FLIGHT=$RUN/flight # the experiment in flight: one small file a fact, written by one step and read by later ones
  [[ -e $RUN/manifest.json ]] || die "run '$TAG' has no manifest: its set-up was not finished" "finish it: make setup TAG=$TAG"
  cd "$TREE" || exit 2
  dirs=$(git rev-parse --absolute-git-dir --git-common-dir)
  export HEAD_FILE=${dirs%%$'\n'*}/HEAD COMMON_DIR=${dirs#*$'\n'}
  [[ $COMMON_DIR == /* ]] || COMMON_DIR=$(realpath -- "$COMMON_DIR")
  link_results
}

# link_results: results.tsv and run.log in the root are those of the run; a ledger that is nobody's is moved aside.
link_results() {
  local aside
  if [[ -e results.tsv && ! -L results.tsv ]]; then
    aside=runs/found/results-$(date +%Y%m%d-%H%M%S).tsv
    mkdir -p runs/found
    mv results.tsv "$aside"
    say "found a results.tsv that belongs to no run: moved to '$aside'"
  fi
  [[ $(readlink results.tsv) == "runs/$TAG/results.tsv" ]] || ln -sfn "runs/$TAG/results.tsv" results.tsv
  [[ $(readlink run.log) == "runs/$TAG/run.log" ]] || ln -sfn "runs/$TAG/run.log" run.log
}

# on_branch: whether the run's branch is still the one that is checked out; a person may change it in the night.
on_branch() {
  local head=''
  read -r head 2>/dev/null <"$HEAD_FILE" || :
  [[ $head == "ref: refs/heads/$BRANCH" || $(git symbolic-ref --quiet HEAD) == "refs/heads/$BRANCH" ]] ||
    die "branch '$BRANCH' is not checked out any more" "git checkout '$BRANCH'"
}

# at_commit: AT is the commit of the run's branch; asked of its file, where it has one, for git takes ten times as long.
at_commit() {
  AT=
  read -r AT 2>/dev/null <"$COMMON_DIR/refs/heads/$BRANCH" || :
  [[ $AT =~ ^[0-9a-f]{40,64}$ ]] || AT=$(git rev-parse --verify "refs/heads/$BRANCH")
}

# has_baseline: whether there is an experiment on record; rows written by hand are none.
has_baseline() { [[ -s $RUN/experiments.jsonl ]]; }

# name_committer: a machine where git knows no name still makes commits.
name_committer() {
  if ! git var GIT_COMMITTER_IDENT >/dev/null 2>&1; then
    export GIT_AUTHOR_NAME=autoresearch GIT_AUTHOR_EMAIL=autoresearch@localhost
    export GIT_COMMITTER_NAME=autoresearch GIT_COMMITTER_EMAIL=autoresearch@localhost
  fi
}
