# What must hold before an experiment may start: the settings, the data, the tools, the tree. Sourced, after
# child/run_child.sh and run/current_run.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/api_keys.sh"
source "$TOOLKIT/lib/run/tree.sh"
source "$TOOLKIT/lib/experiment/confinement.sh"
source "$TOOLKIT/lib/experiment/tampering.sh"
source "$TOOLKIT/lib/experiment/python_core.sh"

# executables FOLDER: their names, in one line.
executables() {
  local path
  for path in "$1"/*; do
    [[ ! -x $path ]] || printf '%s ' "${path##*/}"
  done
}

# executable_in FOLDER NAME: the path of a proposer or an engine: a file in that folder of lib/, or any path (has a `/`).
executable_in() {
  local path=$2
  [[ $path == */* ]] || path=$TOOLKIT/lib/$1/$2
  [[ $path == /* ]] || path=$CALLED_FROM/$path
  [[ -f $path && -x $path ]] || die "'$2' is not an executable file in lib/$1, nor a path to one" "there are: $(executables "$TOOLKIT/lib/$1")"
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
  (cd "$TREE" && uv run --no-sync prepare.py --check </dev/null 2>/dev/null) || status=$?
  ((status != 3)) || die "the data of profile '$PROFILE' is not there" "run 'uv run prepare.py' (or: make data)"
}

# drop_replicates: the end of the runs beside the experiments (lib/experiment/replicates.sh), also of those of a killed verb: train.py is HEAD's.
drop_replicates() {
  local dir log
  [[ -e $RUN/replicates ]] || return 0
  log=$(readlink "$RUN/run.log") || log=
  [[ $log != replicates/* || ! -e $RUN/$log ]] || mv -f "$RUN/$log" "$RUN/run.log"
  for dir in "$RUN"/replicates/run.*; do
    [[ ! -e $dir/cmd || -e $dir/rc ]] || "$ENGINE_PATH" --cancel "$dir"
    ! cmp -s train.py "$dir/train.py" || git checkout --quiet HEAD -- train.py
  done
  rm -rf "$RUN/replicates"
}

# ready: all that must hold before an experiment may start.
ready() {
  local incumbent facts lines line
  open_run
  AGENT_PATH=$(executable_in proposers "${AGENT:-catalog}")
  ENGINE_PATH=$(executable_in child/engines "${ENGINE:-local}")
  export AGENT_PATH ENGINE_PATH
  (take_keys)
  take_tree
  bring_env
  drop_replicates
  mend_train
  refuse_dirty
  take_settings "$RUN"
  facts=$(ask_prepare)
  name_committer
  start_core
  printf '%s\n' "$facts" >"$RUN/prepared"
  core check_run checked || exit 2
  mapfile -t lines <"$RUN/checked"
  for line in "${lines[@]::${#lines[@]}-1}"; do tell "$line"; done
  incumbent=${lines[-1]}
  choose_confinement "$facts"
  [[ -e $FLIGHT/done || -z $incumbent ]] || git diff --quiet "$incumbent" HEAD -- train.py "${MEASUREMENT[@]}" ||
    die "HEAD is not the incumbent of run '$TAG', '${incumbent:0:7}': nothing has measured it" \
      'begin a run of its own from here: make setup TAG=... FROM=HEAD'
}
