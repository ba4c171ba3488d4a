# What a training run, its evaluator and a proposer can reach: whether they are confined, and the files of RUN_DIR that ask the runner
# to confine them. Sourced.
# shellcheck shell=bash

# confine: it can write nothing but its checkout, what it hands over, and a scratch, its TMPDIR; it has no network, sees no other
# process, and finds neither the runs of this tree, its ledger among them, nor the git directory, keys, or any text that is validated on:
# the folder of it, the shards or the corpus that it came from, and uv's copies of the packages that it came in. What is compiled, or
# cached, is not found again by the next run: it would be a way to hand something over.
confine() {
  local scratch=$RUN_DIR/scratch path
  mkdir -p "$scratch" "$RUN_DIR/handover" "$RUN_DIR/reply"
  {
    hidden_from_all
    hidden_text
    path=$(uv_cache)
    [[ ! -d $path ]] || printf 'hide %s\n' "$path"
    ((GPUS_PER_SLOT == 1)) || printf 'loopback\n' # its ranks speak over that
    printf '%s\n' "write $CHECKOUT" "write $scratch" "write $RUN_DIR/handover" "read $RUN_DIR/reply" "by $LAB_CONFINED"
  } >"$RUN_DIR/confine"
  printf '%s\n' "TMPDIR=$scratch" "UV_CACHE_DIR=$scratch/uv" "TRITON_HOME=$scratch" "CUDA_CACHE_PATH=$scratch/cuda" >>"$RUN_DIR/env"
}

# hidden_text: all that is validated on, and what is held back.
hidden_text() {
  local path
  for path in "$AUTORESEARCH_CACHE"/*/judge "$AUTORESEARCH_CACHE/data"; do
    [[ ! -d $path ]] || printf 'hide %s\n' "$path"
    [[ ! -e $path/source ]] || hide_source "$(<"$path/source")"
  done
}

# hide_source FOLDER: the corpus of one's own that the validation text was taken from; unless what a run needs lies in it.
hide_source() {
  local needed
  for needed in "$TREE" "$VENV" "$AUTORESEARCH_CACHE"; do
    [[ $needed/ != "$1"/* ]] || return 0
  done
  printf 'hide %s\n' "$1"
}

# confine_evaluator: it reads what was handed over, and writes its answer.
confine_evaluator() {
  {
    hidden_from_all
    printf '%s\n' "read $RUN_DIR/evaluator" "read $RUN_DIR/handover" "write $RUN_DIR/reply" "write $RUN_DIR/record" "by $LAB_CONFINED"
  } >"$RUN_DIR/confine-beside"
}

hidden_from_all() { printf '%s\n' "hide $TREE/runs" "hide $COMMON_DIR" "hide $TREE/.env"; }

# confine_proposer SCRATCH: in CALL. It writes where it likes, and has a network; but what experiments rest on it can only read
# (list_what_is_held). Hidden are the runs, their ledgers among them, what is validated on, and .env. An agent that has a shell, and nothing
# that holds it, writes in its scratch alone.
confine_proposer() {
  local held path
  mapfile -t held <"$RUN/proposer.confine"
  ! is_held_by_us_alone || held=("${held[@]/#write */}")
  {
    printf '%s\n' "${held[@]}" network
    # A person may have made it since this loop began.
    while IFS= read -r path; do [[ ! -e $path ]] || printf 'read %s\n' "$(readlink -e -- "$path")"; done <"$RUN/proposer.absent"
    printf '%s\n' "hide $TREE/runs" "hide $TREE/.env"
    hidden_text
    printf '%s\n' "read $TOOLKIT" "write $1" "by $LAB_HELD"
    ! is_held_by_us_alone || printf 'write %s\n' "$(settings_of_agent)"
  } >"$CALL/confine"
  printf '%s\n' "UV_CACHE_DIR=$1/tmp/uv" >>"$CALL/env"
}

# list_what_is_held: once for a loop, since it takes twenty processes: RUN/proposer.confine has the lines of `confine` that every proposer gets;
# RUN/proposer.absent has the configurations of git that do not exist, and so cannot be made read-only.
list_what_is_held() {
  local paths configurations path
  mapfile -t configurations < <(git_configurations)
  for path in "${configurations[@]}"; do [[ -e $path || -L $path ]] || printf '%s\n' "$path"; done >"$RUN/proposer.absent"
  paths=$(what_night_rests_on "${configurations[@]}" | { xargs -d '\n' readlink -e -- || :; } | LC_ALL=C sort -u)
  {
    printf 'write /\n'
    folders_above <<<"$paths"
    printf 'read %s\n' "${paths//$'\n'/$'\nread '}"
  } >"$RUN/proposer.confine"
}

# folders_above: of the paths on stdin: in the sandbox each is a mount of its own, for such a one cannot be renamed, and another one be put
# in its place, with all that is read-only in it.
folders_above() {
  local path
  while IFS= read -r path; do
    while path=${path%/*} && [[ -n $path ]]; do
      [[ $path == /@(dev|proc|sys) ]] || printf 'write %s\n' "$path"
    done
  done | LC_ALL=C sort -u
}

# what_night_rests_on CONFIGURATION...: paths that a proposer, and an unconfined training, must leave alone; some may not be there.
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

# git_configurations: the files that git reads on this account, beside those of the repository, whether they are there or not.
git_configurations() {
  printf '%s\n' ~/.gitconfig "${XDG_CONFIG_HOME:-$HOME/.config}/git"
  { git config --list --show-origin --name-only -z 2>/dev/null || :; } | tr '\0' '\n' | sed -n 's/^file:\(\/.*\)/\1/p' | sort -u
}

# is_held_by_us_alone: whether the proposer is an agent with a shell that nothing else holds: mini; Codex, whose own sandbox cannot be made in
# Landlock.
is_held_by_us_alone() {
  [[ $AGENT_PATH == "$TOOLKIT/lib/proposers/mini" || $AGENT_PATH == "$TOOLKIT/lib/proposers/codex" && $LAB_HELD == landlock ]]
}

# what_is_watched: where nothing holds a run, or a proposer, what it could leave for git, for Python, or for who starts this loop again, is
# looked at before and after (lib/lab/runs/tampering.py).
what_is_watched() {
  printf '%s\n' "$COMMON_DIR"/{config,config.worktree,shallow,info,hooks,objects/info} "$GIT_FOLDER/config.worktree" \
    "$RUN"/{wanted,prepared,prepared.py,variables,proposer.confine,proposer.absent} \
    ~/.config/systemd/user
  git_configurations
}

# settings_of_agent: where it keeps them; the folder is made where there is none.
settings_of_agent() {
  local settings=${MSWEA_GLOBAL_CONFIG_DIR:-${XDG_CONFIG_HOME:-$HOME/.config}/mini-swe-agent}
  [[ $AGENT_PATH == */mini ]] || settings=${CODEX_HOME:-$HOME/.codex}
  mkdir -p "$settings"
  printf '%s' "$settings"
}

# uv_cache: where uv keeps packages; nothing, where the environment has links into it.
uv_cache() {
  [[ ${UV_LINK_MODE:-} == symlink ]] || printf '%s' "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}"
}

# has_evaluator FACTS: whether the prepare.py that has said them measures; it measures nothing else.
has_evaluator() { [[ $1 == *'"evaluator": true'* ]]; }

# way_to_confine: what confines a command here, `bubblewrap` or `landlock`, of what CONFINE allows. Fails where nothing does.
way_to_confine() {
  local way
  for way in bubblewrap landlock; do
    [[ ${CONFINE:-auto} == @(auto|yes|"$way") ]] || continue
    if "$LAB_PYTHON" -IS "$TOOLKIT/lib/child/runner.py" --can-confine "$way" >/dev/null 2>&1; then
      printf '%s' "$way"
      return
    fi
  done
  return 1
}

# choose_confinement FACTS: exports whether `prepare.py --evaluate` measures, and what confines training, and what
# proposers: a way, or `no`. A stranger's script may write where it likes, as it does without us: so by itself only a
# pair that has an evaluator is confined.
choose_confinement() {
  local way
  export LAB_EVALUATOR=no LAB_CONFINED=no LAB_HELD=no
  if [[ $METRIC == val_bpb ]] && has_evaluator "$1"; then
    LAB_EVALUATOR=yes
  fi
  what_is_watched | sort -u >"$RUN/watched"
  [[ $CONFINE != no ]] || return 0
  if way=$(way_to_confine); then
    LAB_HELD=$way
    list_what_is_held
    [[ $CONFINE == auto && $LAB_EVALUATOR == no ]] || LAB_CONFINED=$way
  elif [[ $CONFINE != auto ]]; then
    way=that
    [[ $CONFINE != yes ]] || way='neither bubblewrap nor Landlock'
    die "CONFINE is '$CONFINE', but $way does not work here" 'make doctor says why'
  elif [[ $LAB_EVALUATOR == yes ]]; then
    say 'training and proposers are not confined: neither bubblewrap nor Landlock works here (make doctor says why)'
  fi
}
