# Checks before an experiment starts: settings, data, tools, tree. Sourced, after child/run_child.sh and
# run/current_run.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/api_keys.sh"
source "$TOOLKIT/lib/run/ask_prepare.sh"
source "$TOOLKIT/lib/run/mistyped.sh"
source "$TOOLKIT/lib/run/tree.sh"
source "$TOOLKIT/lib/experiment/choose_confinement.sh"
source "$TOOLKIT/lib/run/toolkit_copy.sh"
source "$TOOLKIT/lib/experiment/flights.sh"
source "$TOOLKIT/lib/experiment/slots.sh"
source "$TOOLKIT/lib/experiment/checkout.sh"
source "$TOOLKIT/lib/experiment/python_core.sh"

# executable_in FOLDER NAME: prints the path of a proposer or an engine. NAME is a file in that folder of lib/, or a
# path with a `/`.
executable_in() {
  local path=$2
  [[ $path == */* ]] || path=$TOOLKIT/lib/$1/$2
  [[ $path == /* ]] || path=$CALLED_FROM/$path
  [[ -f $path && -x $path ]] || refuse_executable "$@"
  realpath -- "$path"
}

refuse_executable() {
  local path names=() kind=proposer
  [[ $1 == proposers ]] || kind=engine
  [[ $2 != */* ]] || die "$kind '$2' is not an executable file" "allow its execution: chmod +x '$2'"
  for path in "$TOOLKIT/lib/$1"/*; do
    [[ ! -x $path ]] || names+=("${path##*/}")
  done
  die "there is no $kind '$2'$(did_you_mean "$2" "${names[@]}")" \
    "choose one of: ${names[*]}; or a path to your own: ./mine"
}

# check_agent: refuses an agent that is not installed. Our adapters check themselves; for a person's script, the
# interpreter in its first line is checked.
check_agent() {
  local first='' words program
  if grep -qsF '/agent_cli.sh"' "$AGENT_PATH"; then
    "$AGENT_PATH" --is-there || exit 2
    return
  fi
  IFS= read -r first < <(head -c 200 -- "$AGENT_PATH" | tr -d '\000\r') || :
  [[ $first == '#!'* ]] || return 0
  read -ra words <<<"${first#\#!}"
  [[ ${words[0]:-} != */env ]] || words=("${words[@]:1}")
  [[ ${words[0]:-} != -* ]] || words=("${words[@]:1}") # env -S
  program=${words[0]:-}
  [[ -z $program || $program == *=* ]] || type -P -- "$program" >/dev/null ||
    die "cannot run '$AGENT': its first line needs '$program', which is not on PATH" \
      'install it, or use the built-in proposer: make loop AGENT=catalog'
}

# refuse_from: FROM cannot change after set-up.
refuse_from() {
  local start
  start=$(<"$RUN/start")
  [[ -z ${FROM:-} || $(git rev-parse --quiet --verify "$FROM^{commit}") == "$start" ]] ||
    die "FROM is '$FROM', but run '$TAG' was set up at '${start:0:7}'" \
      "start a new run there: make setup TAG=$(free_tag) FROM='$FROM'"
}

# take_settings [RUN]: checks and exports the settings, with those that the run has fixed.
take_settings() {
  local lines
  lines=$("$LAB" settings ${1:+"$1"}) || exit 2
  export_settings <<<"$lines"
}

# export_settings: reads NAME=value lines. SETTINGS holds the names. The list is schemas/settings.schema.json.
export_settings() {
  local line
  while IFS= read -r line; do
    export "${line?}"
    SETTINGS+=("${line%%=*}")
  done
}

# drop_replicates: ends the runs of noise and audit (lib/experiment/replicates.sh), also those of a killed verb.
drop_replicates() {
  local dir log
  [[ -e $RUN/replicates ]] || return 0
  log=$(readlink "$RUN/run.log") || log=
  [[ $log != replicates/* || ! -e $RUN/$log ]] || mv -f "$RUN/$log" "$RUN/run.log"
  for dir in "$RUN"/replicates/run.*; do
    [[ ! -e $dir/cmd || -e $dir/rc ]] || cancel_run "$dir"
  done
  rm -rf "$RUN/replicates"
}

# refuse_dirty: a run starts from committed files only.
refuse_dirty() {
  local files
  files=$({ git diff --name-only HEAD -- && git diff --name-only --cached HEAD --; } | sort -u)
  [[ -z $files ]] ||
    die "the tree has uncommitted changes: '${files//$'\n'/\', \'}'" 'commit them, or stash them: git stash'
}

readonly OUTSIDE="run bin/${0##*/} outside of the sandbox: see 'In a sandbox' in AGENTS.md (trust this project in your agent, and call bin/${0##*/} alone: no pipe, no cd)"

# check_sandbox: refuses a coding agent's sandbox in which no experiment can be made. In Codex's, git's folder is
# read-only; in Claude Code's, /proc belongs to another process namespace, so our processes do not find one another.
check_sandbox() {
  local path
  is_in_proc || die "a sandbox hides this process in '/proc', so the loop could not find its processes" "$OUTSIDE"
  for path in "$COMMON_DIR" "$COMMON_DIR/objects" "$COMMON_DIR/refs" "$GIT_FOLDER" "$TREE"; do
    [[ -w $path ]] ||
      die "'$path' is not writable, because of a sandbox or another owner, so no experiment can be committed" "$OUTSIDE"
  done
}

# ready ARGUMENT...: all checks before an experiment. The verb then continues, with these arguments, in the run's copy
# of the toolkit.
ready() {
  local facts lines line
  open_run
  check_sandbox
  bring_env
  go_on_in_copy "$@"
  AGENT_PATH=$(executable_in proposers "${AGENT:-catalog}")
  ENGINE_PATH=$(executable_in child/engines "${ENGINE:-local}")
  export AGENT_PATH ENGINE_PATH
  ! is_far || "$ENGINE_PATH" --check || die "engine '${ENGINE_PATH##*/}' does not work" \
    'read the message above, or train on this machine: make loop ENGINE=local'
  [[ ${0##*/} != loop ]] || check_agent # other verbs report the missing agent when they call it
  refuse_from
  (take_keys)
  take_tree
  drop_old_copies
  drop_litter
  drop_replicates
  start_core
  core check_settings "$RUN" settings || exit 2
  export_settings <"$RUN/settings"
  set_slots
  [[ -d $RUN/slots ]] || mkdir "$RUN/slots"
  note "$RUN/slots/count" "$SLOTS" # for the core, which began before
  set_drafts
  name_committer
  at_commit
  first_free_slot
  check_out "$AT"
  facts=$(ask_prepare "$CHECKOUT")
  printf '%s\n' "$facts" >"$RUN/prepared"
  cat "$CHECKOUT/prepare.py" >"$RUN/prepared.py" 2>/dev/null || : # other training code may have no prepare.py
  core check_run "$RUN" checked || exit 2
  mapfile -t lines <"$RUN/checked"
  for line in "${lines[@]}"; do tell "$line"; done
  choose_confinement "$facts"
  large_folders "$AT" >"$RUN/large"
}

readonly MOST_COPIED=2000 # files in a folder that a proposer's copy has

# large_folders COMMIT: prints the folders with too many files to copy. They hold data, so once for a loop is enough.
large_folders() {
  git ls-tree -r --name-only "$1" | awk -F/ -v most="$MOST_COPIED" \
    'NF > 1 && $1 ~ /^[A-Za-z0-9._-]+$/ { files[$1]++ } END { for (folder in files) if (files[folder] > most) print folder }'
}
