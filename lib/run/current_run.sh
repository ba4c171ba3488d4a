# The run whose branch is checked out: its paths, its branch, and the links to it in the root of the tree. Sourced.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used where this is sourced
readonly CALLED_FROM=$PWD # what a relative path of a person's is relative to
# shellcheck disable=SC2034
readonly LONGEST_WAIT_S=900 # for a proposer
# What git writes outlives a power cut; by itself it syncs no object and no ref.
# shellcheck disable=SC2034 # used where this is sourced
readonly DURABLY=(-c 'core.fsync=loose-object,reference,index')

# open_run: exports TAG, BRANCH, RUN and COMMON_DIR (of git), the words that the steps work with; mends the links in the root.
# The run is that of TAG, else the one whose branch is checked out, else the only one of which a loop is wanted.
open_run() {
  local tag
  cd "$TREE" || exit 2
  CHECKED_OUT=$(git symbolic-ref --quiet --short HEAD 2>/dev/null) || CHECKED_OUT=
  if [[ -n ${TAG+set} ]]; then
    tag=$TAG
    [[ $tag =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ && -e runs/$tag/start ]] || die "there is no run '$tag'" "$(known_runs)"
  elif [[ $CHECKED_OUT == autoresearch/* ]]; then
    tag=${CHECKED_OUT#autoresearch/}
  else
    tag=$(only_wanted) || die "no run is checked out: HEAD is at '${CHECKED_OUT:-no branch}'" "$(known_runs)"
  fi
  export TAG=$tag BRANCH=autoresearch/$tag
  export RUN=$TREE/runs/$TAG
  [[ -e $RUN/manifest.json ]] || die "run '$TAG' has no manifest: its set-up was not finished" "finish it: make setup TAG=$TAG"
  COMMON_DIR=$(git rev-parse --git-common-dir)
  [[ $COMMON_DIR == /* ]] || COMMON_DIR=$(realpath -- "$COMMON_DIR")
  export COMMON_DIR
  [[ $CHECKED_OUT != "$BRANCH" ]] || link_results
}

# only_wanted: the tag of the one run of which a loop is wanted; fails where there is none, or more.
only_wanted() {
  local wanted
  wanted=$(compgen -G 'runs/*/wanted') && [[ $wanted != *$'\n'* ]] || return 1
  wanted=${wanted#runs/}
  printf '%s' "${wanted%/wanted}"
}

# known_runs: a hint.
known_runs() {
  local manifest names=()
  for manifest in runs/*/manifest.json; do
    [[ ! -e $manifest ]] || { manifest=${manifest#runs/} && names+=("${manifest%/manifest.json}"); }
  done
  if ((${#names[@]})); then
    printf '%s' "name one of the runs that there are: TAG=${names[0]} (${names[*]})"
  else
    printf '%s' 'start one: make setup TAG=mar14'
  fi
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

# at_commit: AT is the commit of the run's branch; asked of its file, where it has one, for git takes ten times as long. Of a
# branch that somebody has deleted, it is the incumbent: IS_DELETED is yes then.
at_commit() {
  AT='' IS_DELETED=no
  read -r AT 2>/dev/null <"$COMMON_DIR/refs/heads/$BRANCH" || :
  [[ $AT =~ ^[0-9a-f]{40,64}$ ]] || AT=$(git rev-parse --quiet --verify "refs/heads/$BRANCH") || {
    # shellcheck disable=SC2034 # used where this is sourced
    IS_DELETED=yes
    AT=$(cat "$RUN/incumbent" 2>/dev/null) || die "branch '$BRANCH' is gone, and run '$TAG' has no baseline" 'begin a new run: make setup TAG=...'
  }
}

# is_on_record COMMIT: whether it is one of an experiment.
is_on_record() { grep -qsF "\"commit\": \"$1\"" "$RUN/experiments.jsonl"; }

# has_baseline: whether there is an experiment on record; rows written by hand are none.
has_baseline() { [[ -s $RUN/experiments.jsonl ]]; }

# beat: the flight of this process is at work, or without one the loop; whoever has not said so for longer than any step may
# take is ended, the one by the loop, the other by bin/keepalive.
beat() { : >"${FLIGHT:-$RUN}/alive"; } 2>/dev/null || :

# name_committer: a machine where git knows no name still makes commits.
name_committer() {
  if ! git var GIT_COMMITTER_IDENT >/dev/null 2>&1; then
    export GIT_AUTHOR_NAME=autoresearch GIT_AUTHOR_EMAIL=autoresearch@localhost
    export GIT_COMMITTER_NAME=autoresearch GIT_COMMITTER_EMAIL=autoresearch@localhost
  fi
}
