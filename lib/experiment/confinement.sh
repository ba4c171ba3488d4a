# The sandbox of a training run, its evaluator and a proposer. Writes the `confine` files that the runner reads
# (lib/child/runner.py). Sourced.
# shellcheck shell=bash

# confine: a training run can write only to its checkout, its handover folder and a scratch folder (its TMPDIR). It has
# no network and sees no other process. Hidden are the runs with the ledger, the git directory, the keys and the
# validation text, with the files that the text came from. Its caches end with it: a cache that the next run finds
# would be a way to pass something on.
confine() {
  local scratch=$RUN_DIR/scratch path
  mkdir -p "$scratch" "$RUN_DIR/handover" "$RUN_DIR/reply"
  {
    hidden_from_all
    hidden_text
    path=$(uv_cache)
    [[ ! -d $path ]] || printf 'hide %s\n' "$path"
    ((GPUS_PER_SLOT == 1)) || printf 'loopback\n' # the processes of one training talk over it
    printf '%s\n' "write $CHECKOUT" "write $scratch" "write $RUN_DIR/handover" "read $RUN_DIR/reply" "by $LAB_CONFINED"
  } >"$RUN_DIR/confine"
  printf '%s\n' "TMPDIR=$scratch" "UV_CACHE_DIR=$scratch/uv" "TRITON_HOME=$scratch" "CUDA_CACHE_PATH=$scratch/cuda" >>"$RUN_DIR/env"
}

# hidden_text: hides the validation text and the holdout.
hidden_text() {
  local path
  for path in "$AUTORESEARCH_CACHE"/*/judge "$AUTORESEARCH_CACHE/data"; do
    [[ ! -d $path ]] || printf 'hide %s\n' "$path"
    [[ ! -e $path/source ]] || hide_source "$(<"$path/source")"
  done
}

# hide_source FOLDER: hides the corpus that the validation text came from, unless it contains what a run needs.
hide_source() {
  local needed
  for needed in "$TREE" "$VENV" "$AUTORESEARCH_CACHE"; do
    [[ $needed/ != "$1"/* ]] || return 0
  done
  printf 'hide %s\n' "$1"
}

# confine_evaluator: the evaluator reads the handover and writes its answer.
confine_evaluator() {
  {
    hidden_from_all
    printf '%s\n' "read $RUN_DIR/evaluator" "read $RUN_DIR/handover" "write $RUN_DIR/reply" "write $RUN_DIR/record" "by $LAB_CONFINED"
  } >"$RUN_DIR/confine-beside"
}

hidden_from_all() { printf '%s\n' "hide $TREE/runs" "hide $COMMON_DIR" "hide $TREE/.env"; }

# confine_proposer SCRATCH: writes CALL/confine. A proposer has a network and writes anywhere, except to what
# experiments depend on (list_what_is_held). Hidden are the runs with their ledgers, the validation text and .env. An
# agent with a shell and no sandbox of its own writes only to its scratch folder.
confine_proposer() {
  local held path
  mapfile -t held <"$RUN/proposer.confine"
  ! is_held_by_us_alone || held=("${held[@]/#write */}")
  {
    printf '%s\n' "${held[@]}" network
    # A person may have created it since this loop started.
    while IFS= read -r path; do [[ ! -e $path ]] || printf 'read %s\n' "$(readlink -e -- "$path")"; done <"$RUN/proposer.absent"
    printf '%s\n' "hide $TREE/runs" "hide $TREE/.env"
    hidden_text
    printf '%s\n' "read $TOOLKIT" "write $1" "by $LAB_HELD"
    ! is_held_by_us_alone || printf 'write %s\n' "$(settings_of_agent)"
  } >"$CALL/confine"
  printf '%s\n' "UV_CACHE_DIR=$1/tmp/uv" >>"$CALL/env"
}

# list_what_is_held: writes RUN/proposer.confine, the `confine` lines of every proposer, and RUN/proposer.absent, the
# git configurations that do not exist yet and so cannot be made read-only. Once for a loop, because it takes 20
# processes.
list_what_is_held() {
  local paths configurations path
  paths=$(git_configurations)
  mapfile -t configurations <<<"$paths"
  for path in "${configurations[@]}"; do [[ -e $path || -L $path ]] || printf '%s\n' "$path"; done >"$RUN/proposer.absent"
  paths=$(what_night_rests_on "${configurations[@]}" | { xargs -d '\n' readlink -e -- || :; } | LC_ALL=C sort -u)
  {
    printf 'write /\n'
    folders_above <<<"$paths"
    printf 'read %s\n' "${paths//$'\n'/$'\nread '}"
  } >"$RUN/proposer.confine"
}

# folders_above: makes each folder above the paths on stdin a mount of its own. A mount cannot be renamed, so nobody can
# replace a folder together with its read-only content.
folders_above() {
  local path
  while IFS= read -r path; do
    while path=${path%/*} && [[ -n $path ]]; do
      [[ $path == /@(dev|proc|sys) ]] || printf 'write %s\n' "$path"
    done
  done | LC_ALL=C sort -u
}

# what_night_rests_on CONFIGURATION...: the paths that a proposer and an unconfined training must not change. Some may
# not exist.
what_night_rests_on() {
  local path folders
  printf '%s\n' "$TREE" "$COMMON_DIR" "$GIT_FOLDER" "$VENV" "$AUTORESEARCH_CACHE" "$AUTORESEARCH_MEMORY" "$(uv_cache)" \
    ~/.config/systemd /sys /usr /etc "$(readlink -f "$VENV/bin/python" | sed 's,/bin/[^/]*$,,')"
  printf '%s\n' "$@"
  IFS=: read -ra folders <<<"$PATH"
  for path in "${folders[@]}"; do
    [[ $path != /* || ~/ == "$path"/* || $path == / ]] || printf '%s\n' "$path"
  done
}

# git_configurations: the files that git reads for this user, in addition to those of the repository. Some may not
# exist.
git_configurations() {
  printf '%s\n' ~/.gitconfig "${XDG_CONFIG_HOME:-$HOME/.config}/git"
  { says_yes git config --list --show-origin --name-only -z 2>/dev/null || :; } | tr '\0' '\n' | sed -n 's/^file:\(\/.*\)/\1/p' | sort -u
}

# is_held_by_us_alone: whether the proposer is an agent with a shell and no sandbox of its own: mini, and Codex under
# Landlock, where its own sandbox does not work.
is_held_by_us_alone() {
  [[ $AGENT_PATH == "$TOOLKIT/lib/proposers/mini" || $AGENT_PATH == "$TOOLKIT/lib/proposers/codex" && $LAB_HELD == landlock ]]
}

# what_is_watched: the paths that are compared before and after an unconfined run or proposer
# (lib/lab/runs/tampering.py), because git, Python or the next start of the loop reads them.
what_is_watched() {
  printf '%s\n' "$COMMON_DIR"/{config,config.worktree,shallow,info,hooks,objects/info} "$GIT_FOLDER/config.worktree" \
    "$RUN"/{wanted,prepared,prepared.py,variables,proposer.confine,proposer.absent} \
    ~/.config/systemd/user
  git_configurations
}

# restore_access: gives folders and files of the runs and of git their owner's permissions back, and prints them.
# Landlock does not stop chmod, and a folder that cannot be read would end the night.
restore_access() {
  local found
  # Other flights may delete what it finds, which is no error.
  found=$(find "$TREE/runs" "$COMMON_DIR" -path "$RUN/slots" -prune -o \( -name scratch -o -name handover \) -prune -o \
    \( -type d ! -perm -700 -o -type f ! -perm -400 \) -exec chmod u+rwX {} \; -print 2>/dev/null) || :
  [[ -z $found ]] || printf '%s\n' "${found//"$TREE/"/}"
}

# settings_of_agent: the folder of its settings, which is created if it does not exist.
settings_of_agent() {
  local settings=${MSWEA_GLOBAL_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/mini-swe-agent}
  [[ $AGENT_PATH == */mini ]] || settings=${CODEX_HOME:-$HOME/.codex}
  mkdir -p "$settings"
  printf '%s' "$settings"
}

# uv_cache: the folder where uv keeps packages, or nothing if the environment has links into it.
uv_cache() {
  [[ ${UV_LINK_MODE:-} == symlink ]] || printf '%s' "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}"
}
