# The run whose branch is checked out: its paths, its lock, its incumbent, and what a person may have left in the tree.
# Sourced.
# shellcheck shell=bash

source "$ROOT/lib/run/mend_git.sh"
source "$ROOT/lib/experiment/tampering.sh"
source "$ROOT/lib/run/keys.sh"
source "$ROOT/lib/experiment/core.sh"

readonly CALLED_FROM=$PWD # what a relative path of a person's is relative to
MAY_BE_DIRTY=             # a file whose unsaved change is asked for

# open_run: exports TAG, BRANCH, RUN, FLIGHT, HEAD_FILE and COMMON_DIR (of git), the words that the steps work with; mends the
# links in the root.
open_run() {
  local branch dirs
  branch=$(git -C "$ROOT" symbolic-ref --quiet --short HEAD 2>/dev/null) || branch=
  [[ $branch == autoresearch/* ]] || die "no run is checked out: HEAD is at '${branch:-no branch}'" 'start one: make setup TAG=mar14'
  if [[ -n ${TAG+set} && $TAG != "${branch#autoresearch/}" ]]; then
    die "TAG '$TAG' is not the run that is checked out, '${branch#autoresearch/}'" "git checkout 'autoresearch/$TAG'"
  fi
  export TAG=${branch#autoresearch/} BRANCH=$branch
  export RUN=$ROOT/runs/$TAG
  export FLIGHT=$RUN/flight # the experiment in flight: one small file a fact, written by one step and read by later ones
  [[ -e $RUN/manifest.json ]] || die "run '$TAG' has no manifest: its set-up was not finished" "finish it: make setup TAG=$TAG"
  cd "$ROOT" || exit 2
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

# is_held: whether somebody works on this tree, a loop or another verb that takes it. It is held for an instant to know.
is_held() { ! (flock --nonblock 9) 9<>runs/.lock; }

# take_tree: the lock of this tree (75 when somebody has it), and then the end of what a dead loop has left running.
take_tree() {
  local holder
  mkdir -p runs
  exec 9<>runs/.lock
  if ! flock --timeout 0.5 9; then # is_held has it for an instant
    read -r holder <runs/.lock || holder='pid unknown'
    say "${0##*/}: another loop holds this tree: '$holder'"
    say 'hint: end it with make stop, or watch it with make status'
    exit 75
  fi
  printf 'pid %s since %(%Y-%m-%d %H:%M:%S)T\n' $$ -1 >runs/.lock
  end_tagged "LAB_TREE=$ROOT" || die 'processes of an earlier loop do not end' 'see them with ps, and end them yourself'
  export LAB_TREE=$ROOT LAB_HOLDER=$$
  break_locks
  mend_index
  rm -rf "$RUN/kept" # of a loop that is dead, or of before a power cut
  [[ ! -d $RUN ]] || beat
}

# beat: this tree is at work; bin/keepalive ends a loop that has not said so for longer than any step may take.
beat() { : >"$RUN/alive"; } 2>/dev/null || :

# dirty_files: tracked files that differ from HEAD, in the index or in the tree. A train.py that an interrupted
# experiment has put there is ours, not a person's.
dirty_files() {
  { git -c core.quotePath=false diff --name-only HEAD -- && git -c core.quotePath=false diff --name-only --cached HEAD --; } | sort -u | while IFS= read -r file; do
    if [[ $file == "$MAY_BE_DIRTY" ]] || { [[ $file == train.py ]] && train_is_ours; }; then
      continue
    fi
    printf '%s\n' "$file"
  done
}

# refuse_dirty: a person's unsaved work is safe with us because we do not start on top of it.
refuse_dirty() {
  local files
  files=$(dirty_files)
  [[ -z $files ]] || die "the tree has changes that are not committed: '${files//$'\n'/\', \'}'" 'commit or stash them first'
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

# executable_in FOLDER NAME: the path of a proposer or an engine: a file in that folder of lib/, or any path (has a `/`).
executable_in() {
  local path=$2
  [[ $path == */* ]] || path=$ROOT/lib/$1/$2
  [[ $path == /* ]] || path=$CALLED_FROM/$path
  [[ -f $path && -x $path ]] || die "'$2' is not an executable file in lib/$1, nor a path to one" "there are: $(cd "$ROOT/lib/$1" && printf '%s ' *)"
  realpath -- "$path"
}

# take_settings [RUN]: exports the checked settings, those that the run has fixed among them; schemas/settings.schema.json
# lists them. SETTINGS has their names then.
take_settings() {
  local line lines
  lines=$("$LAB" settings "$@") || exit 2
  while IFS= read -r line; do
    export "${line?}"
    SETTINGS+=("${line%%=*}")
  done <<<"$lines"
}

# ask_prepare: prints what prepare.py says of the data that is there (a JSON object), or nothing (a stranger's prepare.py).
ask_prepare() {
  local status=0
  (cd "$ROOT" && uv run --no-sync prepare.py --check </dev/null 2>/dev/null) || status=$?
  ((status != 3)) || die "the data of profile '$PROFILE' is not there" "run 'uv run prepare.py' (or: make data)"
}

# choose_confinement FACTS: exports whether training runs are confined. A stranger's script may write where it likes, as
# it does without us: so by itself only a pair that keeps to our protocol is.
choose_confinement() {
  export LAB_CONFINED=no
  [[ $CONFINE == yes || ($CONFINE == auto && $1 == *'"evaluation_record": true'*) ]] || return 0
  if "$LAB_PYTHON" -IS "$ROOT/lib/child/runner.py" --can-confine >/dev/null 2>&1; then
    LAB_CONFINED=yes
  elif [[ $CONFINE == yes ]]; then
    die "CONFINE is 'yes', but bubblewrap does not work here" 'make doctor says why'
  else
    say 'training is not confined: bubblewrap does not work here (make doctor says why)'
  fi
}

# drop_extra: the end of the runs beside the experiments (lib/experiment/replicates.sh), also of those of a killed verb: train.py is HEAD's.
drop_extra() {
  local dir log
  [[ -e $RUN/extra ]] || return 0
  log=$(readlink "$RUN/run.log") || log=
  [[ $log != extra/* || ! -e $RUN/$log ]] || mv -f "$RUN/$log" "$RUN/run.log"
  for dir in "$RUN"/extra/run.*; do
    [[ ! -e $dir/cmd || -e $dir/rc ]] || "$ENGINE_PATH" --cancel "$dir"
    ! cmp -s train.py "$dir/train.py" || git checkout --quiet HEAD -- train.py
  done
  rm -rf "$RUN/extra"
}

# ready: all that must hold before an experiment may start.
ready() {
  local incumbent facts
  open_run
  AGENT_PATH=$(executable_in agents "${AGENT:-catalog}")
  ENGINE_PATH=$(executable_in engines "${ENGINE:-local}")
  export AGENT_PATH ENGINE_PATH
  (take_keys)
  take_tree
  bring_env
  drop_extra
  mend_train
  refuse_dirty
  take_settings "$RUN"
  facts=$(ask_prepare)
  incumbent=$("$LAB" check "$RUN" <<<"$facts") || exit 2
  choose_confinement "$facts"
  [[ -e $FLIGHT/done || -z $incumbent ]] || git diff --quiet "$incumbent" HEAD -- train.py "${MEASUREMENT[@]}" ||
    die "HEAD is not the incumbent of run '$TAG', '${incumbent:0:7}': nothing has measured it" \
      'begin a run of its own from here: make setup TAG=... FROM=HEAD'
  name_committer
  start_core
}
