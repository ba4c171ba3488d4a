# runs/<tag>/wanted: says that a person wants a loop of this run, and with which settings. bin/loop writes it. Ctrl-C,
# `make stop`, and the last of the wanted rows remove it. So a stopped loop stays stopped, and bin/keepalive restarts
# one that died. Sourced.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used where this is sourced
readonly MINUTE=${LAB_MINUTE:-60} # seconds; shorter in tests
MARK=wanted

# Variables that a restarted loop gets, besides the settings and those named in PASS_ENV.
readonly SAVED='^(PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|UV_(PROJECT_ENVIRONMENT|CACHE_DIR)|LD_LIBRARY_PATH|PYTHONPATH|XDG_[A-Z]+_HOME|(CUDA|NCCL|TORCH|PYTORCH|TRITON|XLA|JAX|TF|HIP|ROCR|HSA|OMP|MKL|OPENBLAS|NUMEXPR)_[A-Z0-9_]+|HF_(HOME|HUB_CACHE|HUB_OFFLINE|DATASETS_CACHE|DATASETS_OFFLINE)|TRANSFORMERS_(CACHE|OFFLINE)|TOKENIZERS_PARALLELISM|WANDB_(MODE|DIR|PROJECT|ENTITY)|[Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]|([Hh][Tt][Tt][Pp][Ss]?|[Aa][Ll][Ll])_[Pp][Rr][Oo][Xx][Yy]|(REQUESTS|CURL)_CA_BUNDLE|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|[A-Z_]+_(BASE_URL|API_BASE|ENDPOINT|MODEL)|CLAUDE_CONFIG_DIR|CODEX_HOME|LLM_USER_PATH|CLAUDE_CODE_USE_(BEDROCK|VERTEX)|AWS_(PROFILE|REGION)|LAB_AGENT_QUIET|LAB_MINUTE)$'
# Keys are never saved: .env holds them (lib/run/api_keys.sh). They are recognised by name, or inside an address.
readonly SECRET_NAME='(^|_)([A-Z0-9]*KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)'
readonly SECRET_VALUE='://[^/]*@|[?&]([a-z_-]*(key|token|secret|password|sig))[a-z_-]*='
# Variables of a terminal, a desktop or make, which training never needs.
readonly OF_SESSION='^(_|SHLVL|PWD|OLDPWD|SHELL|USER|LOGNAME|HOSTNAME|MAIL|TERM|TERM_.*|COLORTERM|TERMCAP|LINES|COLUMNS|LS_COLORS|LESS.*|PAGER|MANPATH|INFOPATH|EDITOR|VISUAL|PS[0-9]|PROMPT_.*|HIST.*|DISPLAY|WAYLAND_.*|XAUTHORITY|XDG_(SESSION|CURRENT|RUNTIME|DATA_DIRS|CONFIG_DIRS|SEAT|VTNR|MENU).*|DESKTOP_.*|GDM.*|GNOME_.*|GTK_.*|QT_.*|KDE_.*|DBUS_.*|SSH_.*|GPG_.*|TMUX.*|STY|SCREEN.*|WINDOW.*|VTE_.*|ITERM.*|KITTY_.*|ALACRITTY_.*|WEZTERM_.*|KONSOLE_.*|VSCODE_.*|WT_.*|WSL.*|NAME|HOSTTYPE|MAKE.*|MFLAGS|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_.*|MANAGERPID|LAB(_.*)?|BASH_FUNC_.*|CONDA_(PROMPT|SHLVL|EXE|PYTHON_EXE).*|NVM_.*|PYENV_.*|DEBIAN_FRONTEND|EUID)$'

# rows: prints the number of settled experiments, without the baseline.
rows() {
  local lines=0 commit file
  [[ ! -s $RUN/experiments.jsonl ]] || lines=$(grep -c '' "$RUN/experiments.jsonl")
  for file in "$RUN"/flights/f*[0-9]/commit; do
    { read -r commit <"$file"; } 2>/dev/null || continue
    ! is_on_record "$commit" || lines=$((lines - 1))
  done
  printf '%s' $((lines > 1 ? lines - 1 : 0))
}

# caller_names: prints the names in the caller's environment, without our settings, sorted, one per line.
caller_names() { compgen -e | sed 's/^LAB_CALLER_//' | grep -vE "$OF_SESSION" | grep -vxF "$(printf '%s\n' AGENT ENGINE PASS_ENV "${SETTINGS[@]}")" | sort -u; }

# caller_value NAME: sets VALUE; fails if the caller has no such variable.
caller_value() {
  local name=$1
  [[ -z $(declare -p "LAB_CALLER_$1" 2>/dev/null) ]] || name=LAB_CALLER_$1
  [[ -n ${!name+set} ]] || return 1
  VALUE=${!name}
}

# check_pass_env: every variable in PASS_ENV is set, and may be saved.
check_pass_env() {
  local name names
  read -ra names <<<"${PASS_ENV:-}"
  for name in "${names[@]}"; do
    [[ ! ${name^^} =~ $SECRET_NAME ]] ||
      die "PASS_ENV names the key '$name', and keys are not saved to disk" \
        "put the proposer's key into '.env': $name=..."
    caller_value "$name" ||
      die "PASS_ENV names '$name', which is not set" "set it, or remove it from PASS_ENV: $name=... make loop"
    [[ ! ${VALUE,,} =~ $SECRET_VALUE ]] ||
      die "PASS_ENV names '$name', an address with a key, and keys are not saved to disk" \
        "remove it from PASS_ENV: PASS_ENV= make loop"
    [[ $VALUE != *$'\n'* ]] ||
      die "PASS_ENV names '$name', whose value has more than one line" 'put the value into a file, and pass the path'
  done
}

# tell_lost_names: a restarted loop may lack variables of the first one. They are reported. They may also explain a
# failing run, until one run succeeds without them: RUN/lost_variables, for lib/lab/verdict/measure.py.
tell_lost_names() {
  local lost
  lost=$(comm -23 <(sort "$RUN/variables" 2>/dev/null) <({ caller_names && names_of_keys; } | sort -u) | paste -sd' ' -)
  if [[ -n $lost ]]; then
    put "$RUN/lost_variables" "$lost"
    tell "these variables were set when the loop was first started, and are missing now: $lost; to keep those that training needs: PASS_ENV='NAME ...' make loop"
  else
    rm -f "$RUN/lost_variables"
  fi
  [[ ${LAB_RESTARTED:-} == yes ]] || caller_names >"$RUN/variables" # only a loop started by a person sets the list
  unset LAB_RESTARTED
}

# want GOAL: from now on a loop is wanted, until GOAL rows (0: for ever). SETTINGS names the settings to save.
want() {
  local name other names
  for other in "$TREE"/runs/*/wanted; do
    [[ $other == "$RUN/wanted" ]] || rm -f "$other" # a tree has one loop
  done
  while IFS= read -r name; do
    [[ ! $name =~ $SAVED || $name =~ $SECRET_NAME ]] || SETTINGS+=("$name")
  done < <(compgen -e)
  read -ra names <<<"${PASS_ENV:-}"
  rm -f "$RUN/wanted.new"
  (
    umask 077 # ON_KEEP may hold a private address
    exec >"$RUN/wanted.new"
    # Our own proposers and engines are saved by name, since this copy of the toolkit may be deleted.
    printf '%s\n' "GOAL=$1" "COPY=$TOOLKIT" "TAG=$TAG" "AGENT=${AGENT_PATH#"$TOOLKIT/lib/proposers/"}" \
      "ENGINE=${ENGINE_PATH#"$TOOLKIT/lib/child/engines/"}"
    for name in "${SETTINGS[@]}"; do
      [[ ${!name} == *$'\n'* || $name == MAX_EXPERIMENTS || (${!name,,} =~ $SECRET_VALUE && $name != ON_*) ]] || printf '%s=%s\n' "$name" \
        "${!name}"
    done
    for name in "${names[@]}"; do
      caller_value "$name"
      printf '%s=%s\n' "$name" "$VALUE"
    done
  )
  make_durable "$RUN/wanted.new"
  mv -f "$RUN/wanted.new" "$RUN/wanted"
  make_durable "$RUN"
}

# is_wanted: whether a loop is wanted; in the process of the queue MARK names its own marker.
is_wanted() { [[ -e $RUN/$MARK ]]; }

unwant() { rm -f "$RUN/wanted"; }

# wanted_value NAME: prints its value when the loop was started.
wanted_value() { sed -n "s/^$1=//p" "$RUN/wanted"; }
