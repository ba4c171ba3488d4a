# The current run: its paths, its branch, and its links in the root of the tree. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/git_records.sh"
source "$TOOLKIT/lib/run/editable.sh"
source "$TOOLKIT/lib/run/mistyped.sh"

# shellcheck disable=SC2034 # used where this is sourced
readonly CALLED_FROM=$PWD # relative paths of a person start here
# shellcheck disable=SC2034
readonly LONGEST_WAIT_S=900 # between two calls of a proposer
# Makes git's writes survive a power cut: by default it syncs no object and no ref.
# shellcheck disable=SC2034 # used where this is sourced
readonly DURABLY=(-c 'core.fsync=loose-object,reference,index')

# open_repository: exports COMMON_DIR, the git folder of all worktrees, and GIT_FOLDER, that of this tree. Refuses a
# tree that cannot have runs.
open_repository() {
  local facts
  mapfile -t facts < <(git -C "$TREE" rev-parse --git-common-dir --absolute-git-dir --show-prefix 2>/dev/null)
  ((${#facts[@]} > 1)) || refuse_repository
  [[ -z ${facts[2]:-} ]] || die "a run needs its own git repository, but this folder is inside a larger one: '$TREE'" \
    "create one: cd '$TREE' && git init && git add . && git commit -m start"
  COMMON_DIR=${facts[0]}
  [[ $COMMON_DIR == /* ]] || COMMON_DIR=$(realpath -- "$TREE/$COMMON_DIR")
  export COMMON_DIR GIT_FOLDER=${facts[1]}
}

# refuse_repository: says why git cannot read the tree, in git's words for an unknown reason.
refuse_repository() {
  local said
  type -P git >/dev/null || die "'git' is not on PATH" 'install git, 2.30 or later'
  said=$(LC_ALL=C git -C "$TREE" rev-parse --git-dir 2>&1 >/dev/null) || :
  said=${said#*fatal: }
  said=${said%%$'\n'*}
  case $said in
    *'dubious ownership'* | *'unsafe repository'*)
      [[ $said =~ \'(/.*)\' ]] || [[ "'$TREE'" =~ \'(.*)\' ]]
      die "the repository belongs to another user: $said" \
        "if you trust it: git config --global --add safe.directory '${BASH_REMATCH[1]}'"
      ;;
    'not a git repository: '*) die "the main repository of the worktree '$TREE' was moved or deleted: $said" \
      "run this in the main repository: git worktree repair '$TREE'" ;;
    'not a git repository'*) die "not a git repository: '$TREE'" \
      "create a repository: cd '$TREE' && git init && git add . && git commit -m start" ;;
    *) die "git cannot read the repository '$TREE': $said" "see git's message: git -C '$TREE' status" ;;
  esac
}

# name_run: sets CHECKED_OUT, and exports TAG, BRANCH, RUN and the variables of open_repository. The run is TAG, else
# the one that is checked out, else the only one with a wanted loop.
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
    tag=$(only_wanted) || die "no run is checked out (current branch: '${CHECKED_OUT:-none}')" "$(known_runs)"
  fi
  export TAG=$tag BRANCH=autoresearch/$tag
  export RUN=$TREE/runs/$TAG
}

is_run() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] && { [[ -e runs/$1/start ]] || has_records "$1"; }; }

# open_run: name_run for a complete run; also repairs the links in the root.
open_run() {
  name_run
  [[ -e $RUN/manifest.json ]] || refuse_run
  [[ $CHECKED_OUT != "$BRANCH" ]] || link_results
}

# refuse_run: says why the run has no manifest.
refuse_run() {
  local other at
  ! has_records "$TAG" || die "the manifest of run '$TAG' was deleted" "restore it from git: make mend TAG=$TAG"
  at=$(git rev-parse --quiet --verify "refs/heads/$BRANCH") || at=none
  for other in runs/*/incumbent; do
    [[ -e $other && $(<"$other") == "$at" ]] || continue
    other=${other#runs/} other=${other%/incumbent}
    git show-ref --verify --quiet "refs/heads/autoresearch/$other" ||
      die "branch '$BRANCH' belongs to run '$other' and was renamed" \
        "rename it back: git branch -m $BRANCH autoresearch/$other"
  done
  [[ $(git log -1 --format=%s "$at" 2>/dev/null) != 'experiment: '* ]] ||
    die "the folder of run '$TAG' was deleted, and only its branch is left" \
      "start a new run: make setup TAG=$(free_tag)"
  die "the set-up of run '$TAG' was interrupted" "complete it: make setup TAG=$TAG"
}

# free_tag: prints an unused tag that starts like TAG.
free_tag() {
  local letter
  for letter in {b..z}; do
    git show-ref --verify --quiet "refs/heads/autoresearch/$TAG$letter" || [[ -e runs/$TAG$letter ]] || has_records "$TAG$letter" || break
  done
  printf '%s' "$TAG$letter"
}

# only_wanted: prints the tag of the only run with a wanted loop; fails if there is none, or more than one.
only_wanted() {
  local wanted
  wanted=$(compgen -G 'runs/*/wanted') && [[ $wanted != *$'\n'* ]] || return 1
  wanted=${wanted#runs/}
  printf '%s' "${wanted%/wanted}"
}

# known_runs: prints a hint: this verb for the run with the nearest name, or else the newest one, and the list of runs.
known_runs() {
  local manifest names=() last='' verb=${0##*/}
  [[ $verb != experiment ]] || verb=once
  for manifest in runs/*/manifest.json; do
    [[ -e $manifest ]] || continue
    [[ -n $last && ! $manifest -nt $last ]] || last=$manifest
    manifest=${manifest#runs/} && names+=("${manifest%/manifest.json}")
  done
  last=${last#runs/} last=${last%/manifest.json}
  [[ -z ${TAG:-} ]] || last=$(nearest "$TAG" "${names[@]}" | grep . || printf '%s' "$last")
  if ((${#names[@]})); then
    printf '%s' "name a run: TAG=$last make $verb (runs: ${names[*]})"
  else
    printf '%s' 'start one: make setup TAG=mar14'
  fi
}

# link_results: points results.tsv and run.log in the root to the run. A ledger of no run is moved aside.
link_results() {
  local aside
  if [[ -e results.tsv && ! -L results.tsv ]]; then
    aside=runs/found/results-$(date +%Y%m%d-%H%M%S).tsv
    mkdir -p runs/found
    mv results.tsv "$aside"
    say "moved 'results.tsv', which belongs to no run, to '$aside'"
  fi
  [[ $(readlink results.tsv) == "runs/$TAG/results.tsv" ]] || ln -sfn "runs/$TAG/results.tsv" results.tsv
  [[ $(readlink run.log) == "runs/$TAG/run.log" ]] || ln -sfn "runs/$TAG/run.log" run.log
}

# at_commit: sets AT to the commit of the branch, from its ref file if there is one: git takes ten times as long. If the
# branch was deleted, AT is the incumbent and IS_DELETED is yes.
at_commit() {
  AT='' IS_DELETED=no
  read -r AT 2>/dev/null <"$COMMON_DIR/refs/heads/$BRANCH" || :
  [[ $AT =~ ^[0-9a-f]{40,64}$ ]] || value_of AT git rev-parse --quiet --verify "refs/heads/$BRANCH"
  if [[ -z $AT ]]; then
    # shellcheck disable=SC2034 # used where this is sourced
    IS_DELETED=yes
    AT=$(cat "$RUN/incumbent" 2>/dev/null) ||
      die "branch '$BRANCH' was deleted, and run '$TAG' has no baseline" "start a new run: make setup TAG=$(free_tag)"
  fi
}

# is_on_record COMMIT: whether it is the commit of a recorded experiment.
is_on_record() { grep -qsF "\"commit\": \"$1\"" "$RUN/experiments.jsonl"; }

# has_baseline: whether an experiment is on record. Rows written by hand do not count.
has_baseline() { [[ -s $RUN/experiments.jsonl ]]; }

# beat: a sign of life of this flight, or of the loop. The loop ends a flight that is silent for too long; bin/keepalive
# does so with a loop.
beat() { : >"${FLIGHT:-$RUN}/alive"; } 2>/dev/null || :

# name_committer: gives git an identity if the machine has none.
name_committer() {
  if ! { git var GIT_COMMITTER_IDENT && git var GIT_AUTHOR_IDENT; } >/dev/null 2>&1; then
    export GIT_AUTHOR_NAME=autoresearch GIT_AUTHOR_EMAIL=autoresearch@localhost
    export GIT_COMMITTER_NAME=autoresearch GIT_COMMITTER_EMAIL=autoresearch@localhost
  fi
}
