# The run whose branch is checked out: its paths, its branch, and the links to it in the root of the tree. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/git_records.sh"
source "$TOOLKIT/lib/run/editable.sh"

# shellcheck disable=SC2034 # used where this is sourced
readonly CALLED_FROM=$PWD # what a relative path of a person's is relative to
# shellcheck disable=SC2034
readonly LONGEST_WAIT_S=900 # for a proposer
# What git writes outlives a power cut; by itself it syncs no object and no ref.
# shellcheck disable=SC2034 # used where this is sourced
readonly DURABLY=(-c 'core.fsync=loose-object,reference,index')

# open_repository: exports COMMON_DIR, git's folder of all worktrees, and GIT_FOLDER, that of this tree; refuses a tree that no run can be in.
open_repository() {
  local facts
  mapfile -t facts < <(git -C "$TREE" rev-parse --git-common-dir --absolute-git-dir --show-prefix 2>/dev/null)
  ((${#facts[@]} > 1)) || refuse_repository
  [[ -z ${facts[2]:-} ]] || die "this folder is part of a larger git repository, and a run needs one of its own: '$TREE'" \
    "make it one: cd '$TREE' && git init && git add . && git commit -m start"
  COMMON_DIR=${facts[0]}
  [[ $COMMON_DIR == /* ]] || COMMON_DIR=$(realpath -- "$TREE/$COMMON_DIR")
  export COMMON_DIR GIT_FOLDER=${facts[1]}
}

# refuse_repository: why git cannot read it, in its own words where we have none that are better.
refuse_repository() {
  local said
  type -P git >/dev/null || die "'git' is not on PATH" 'install git, 2.30 or later'
  said=$(LC_ALL=C git -C "$TREE" rev-parse --git-dir 2>&1 >/dev/null) || :
  said=${said#*fatal: }
  said=${said%%$'\n'*}
  case $said in
    *'dubious ownership'* | *'unsafe repository'*)
      [[ $said =~ \'(/.*)\' ]] || [[ "'$TREE'" =~ \'(.*)\' ]]
      die "git refuses a repository that belongs to another user: $said" "where you trust it: git config --global --add safe.directory '${BASH_REMATCH[1]}'"
      ;;
    'not a git repository: '*) die "what '$TREE' is a worktree of has been moved or deleted: $said" "in the repository itself: git worktree repair '$TREE'" ;;
    'not a git repository'*) die "not a git repository: '$TREE'" "clone the project, or: cd '$TREE' && git init && git add . && git commit -m start" ;;
    *) die "git cannot read the repository '$TREE': $said" "see what it says: git -C '$TREE' status" ;;
  esac
}

# name_run: sets CHECKED_OUT, and exports TAG, BRANCH, RUN, and what open_repository does, the words that the steps work with.
# The run is that of TAG, else the one whose branch is checked out, else the only one of which a loop is wanted.
name_run() {
  local tag
  cd "$TREE" || exit 2
  open_repository
  CHECKED_OUT=$(git symbolic-ref --quiet --short HEAD 2>/dev/null) || CHECKED_OUT=
  if [[ -n ${TAG+set} ]]; then
    tag=$TAG
    is_run "$tag" || die "there is no run '$tag'" "$(known_runs)"
  elif [[ $CHECKED_OUT == autoresearch/* ]]; then
    tag=${CHECKED_OUT#autoresearch/}
  else
    tag=$(only_wanted) || die "no run is checked out: HEAD is at '${CHECKED_OUT:-no branch}'" "$(known_runs)"
  fi
  export TAG=$tag BRANCH=autoresearch/$tag
  export RUN=$TREE/runs/$TAG
}

is_run() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] && { [[ -e runs/$1/start ]] || has_records "$1"; }; }

# open_run: the same, of a run that is whole; mends the links in the root.
open_run() {
  name_run
  [[ -e $RUN/manifest.json ]] || refuse_run
  [[ $CHECKED_OUT != "$BRANCH" ]] || link_results
}

# refuse_run: why it has no manifest.
refuse_run() {
  local other at
  ! has_records "$TAG" || die "run '$TAG' has no manifest: somebody has deleted it, or all of 'runs/$TAG'" "make mend TAG=$TAG (git keeps it)"
  at=$(git rev-parse --quiet --verify "refs/heads/$BRANCH") || at=none
  for other in runs/*/incumbent; do
    [[ -e $other && $(<"$other") == "$at" ]] || continue
    other=${other#runs/} other=${other%/incumbent}
    git show-ref --verify --quiet "refs/heads/autoresearch/$other" ||
      die "there is no run '$TAG': this branch is that of run '$other', by another name" "git branch -m $BRANCH autoresearch/$other"
  done
  [[ $(git log -1 --format=%s "$at" 2>/dev/null) != 'experiment: '* ]] ||
    die "run '$TAG' has left nothing but its branch" "begin another: make setup TAG=$(free_tag)"
  die "run '$TAG' has no manifest: its set-up was not finished" "finish it: make setup TAG=$TAG"
}

# free_tag: prints a name like TAG that no run has had.
free_tag() {
  local letter
  for letter in {b..z}; do
    git show-ref --verify --quiet "refs/heads/autoresearch/$TAG$letter" || [[ -e runs/$TAG$letter ]] || has_records "$TAG$letter" || break
  done
  printf '%s' "$TAG$letter"
}

# only_wanted: the tag of the one run of which a loop is wanted; fails where there is none, or more.
only_wanted() {
  local wanted
  wanted=$(compgen -G 'runs/*/wanted') && [[ $wanted != *$'\n'* ]] || return 1
  wanted=${wanted#runs/}
  printf '%s' "${wanted%/wanted}"
}

# known_runs: a hint: this verb for a run that there is, the one that was set up last.
known_runs() {
  local manifest names=() last='' verb=${0##*/}
  [[ $verb != experiment ]] || verb=once
  for manifest in runs/*/manifest.json; do
    [[ -e $manifest ]] || continue
    [[ -n $last && ! $manifest -nt $last ]] || last=$manifest
    manifest=${manifest#runs/} && names+=("${manifest%/manifest.json}")
  done
  last=${last#runs/} last=${last%/manifest.json}
  if ((${#names[@]})); then
    printf '%s' "name one of the runs that there are: TAG=$last make $verb (there are: ${names[*]})"
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
    AT=$(cat "$RUN/incumbent" 2>/dev/null) || die "branch '$BRANCH' is gone, and run '$TAG' has no baseline" "begin a new run: make setup TAG=$(free_tag)"
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
  if ! { git var GIT_COMMITTER_IDENT && git var GIT_AUTHOR_IDENT; } >/dev/null 2>&1; then
    export GIT_AUTHOR_NAME=autoresearch GIT_AUTHOR_EMAIL=autoresearch@localhost
    export GIT_COMMITTER_NAME=autoresearch GIT_COMMITTER_EMAIL=autoresearch@localhost
  fi
}
