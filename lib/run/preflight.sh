# What must hold before an experiment may start: the settings, the data, the tools, the tree. Sourced, after
# child/run_child.sh and run/current_run.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/api_keys.sh"
source "$TOOLKIT/lib/run/ask_prepare.sh"
source "$TOOLKIT/lib/run/tree.sh"
source "$TOOLKIT/lib/experiment/confinement.sh"
source "$TOOLKIT/lib/run/toolkit_copy.sh"
source "$TOOLKIT/lib/experiment/flights.sh"
source "$TOOLKIT/lib/experiment/slots.sh"
source "$TOOLKIT/lib/experiment/checkout.sh"
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

# check_agent: the night is not begun without the agent that was asked for: an adapter of ours knows what it calls; of a person's
# script, its first line does.
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
    die "'$AGENT' cannot be run: its first line asks for '$program', which is not there" 'install that, or let another agent propose: make loop AGENT=catalog'
}

# refuse_from: where a run begins was said at set-up.
refuse_from() {
  local start
  start=$(<"$RUN/start")
  [[ -z ${FROM:-} || $(git rev-parse --quiet --verify "$FROM^{commit}") == "$start" ]] ||
    die "FROM is '$FROM', but the run was set up at '${start:0:7}'" "begin a new run there: make setup TAG=$(free_tag) FROM='$FROM'"
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

# drop_replicates: the end of the runs beside the experiments (lib/experiment/replicates.sh), also of those of a killed verb.
drop_replicates() {
  local dir log
  [[ -e $RUN/replicates ]] || return 0
  log=$(readlink "$RUN/run.log") || log=
  [[ $log != replicates/* || ! -e $RUN/$log ]] || mv -f "$RUN/$log" "$RUN/run.log"
  for dir in "$RUN"/replicates/run.*; do
    [[ ! -e $dir/cmd || -e $dir/rc ]] || "$ENGINE_PATH" --cancel "$dir"
  done
  rm -rf "$RUN/replicates"
}

# refuse_dirty: set-up alone: what a run begins from must be what is committed.
refuse_dirty() {
  local files
  files=$({ git diff --name-only HEAD -- && git diff --name-only --cached HEAD --; } | sort -u)
  [[ -z $files ]] || die "the tree has changes that are not committed: '${files//$'\n'/\', \'}'" 'commit them, or put them by: git stash'
}

# check_writable: a coding agent's sandbox keeps git's folder read only, and no experiment can be committed.
check_writable() {
  local path
  for path in "$COMMON_DIR" "$COMMON_DIR/objects" "$COMMON_DIR/refs" "$GIT_FOLDER" "$TREE"; do
    [[ -w $path ]] || die "'$path' is read only here: a sandbox, or another owner, keeps an experiment from being committed" \
      "let bin/${0##*/} run outside of the sandbox, as 'In a sandbox' in AGENTS.md says (Codex: trust this project; .codex/rules/lab.rules allows it)"
  done
}

# ready ARGUMENT...: all that must hold before an experiment may start; the verb goes on with these in the run's copy of the toolkit.
ready() {
  local facts lines line
  open_run
  check_writable
  bring_env
  go_on_in_copy "$@"
  AGENT_PATH=$(executable_in proposers "${AGENT:-catalog}")
  ENGINE_PATH=$(executable_in child/engines "${ENGINE:-local}")
  export AGENT_PATH ENGINE_PATH
  [[ ${0##*/} != loop ]] || check_agent # any other verb says it by itself, and goes on with no other agent
  refuse_from
  (take_keys)
  take_tree
  drop_old_copies
  drop_litter
  drop_replicates
  take_settings "$RUN"
  set_slots
  set_drafts
  name_committer
  start_core
  at_commit
  SLOT=0
  check_out "$AT"
  facts=$(ask_prepare "$CHECKOUT")
  printf '%s\n' "$facts" >"$RUN/prepared"
  cat "$CHECKOUT/prepare.py" >"$RUN/prepared.py" 2>/dev/null || : # another training codebase may have none
  core check_run "$RUN" checked || exit 2
  mapfile -t lines <"$RUN/checked"
  for line in "${lines[@]}"; do tell "$line"; done
  choose_confinement "$facts"
  large_folders "$AT" >"$RUN/large"
}

readonly MOST_COPIED=2000 # files of a folder in the copy that a proposer edits

# large_folders COMMIT: prints the folders that are data, by their number of files. No experiment adds as many, so once for a loop will do.
large_folders() {
  git ls-tree -r --name-only "$1" | awk -F/ -v most="$MOST_COPIED" \
    'NF > 1 && $1 ~ /^[A-Za-z0-9._-]+$/ { files[$1]++ } END { for (folder in files) if (files[folder] > most) print folder }'
}
