# The caller's environment: which variables are keys, which belong to a terminal, and which a training run gets.
# Sourced.
# shellcheck shell=bash disable=SC2034 # used where this is sourced

source "$TOOLKIT/lib/run/api_keys.sh"

# Variables that hold a key, by the words of their names, or as an address with a key. They are never passed on.
readonly SECRET_NAME='(^|_)([A-Z0-9]*KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)'
readonly SECRET_VALUE='://[^/]*@|[?&]([a-z_-]*(key|token|secret|password|sig))[a-z_-]*='
# Variables of a terminal, a desktop or make, which training does not need.
readonly OF_SESSION='^(_|SHLVL|PWD|OLDPWD|SHELL|USER|LOGNAME|HOSTNAME|MAIL|TERM|TERM_.*|COLORTERM|TERMCAP|LINES|COLUMNS|LS_COLORS|LESS.*|PAGER|MANPATH|INFOPATH|EDITOR|VISUAL|PS[0-9]|PROMPT_.*|HIST.*|DISPLAY|WAYLAND_.*|XAUTHORITY|XDG_(SESSION|CURRENT|RUNTIME|DATA_DIRS|CONFIG_DIRS|SEAT|VTNR|MENU).*|DESKTOP_.*|GDM.*|GNOME_.*|GTK_.*|QT_.*|KDE_.*|DBUS_.*|SSH_.*|GPG_.*|TMUX.*|STY|SCREEN.*|WINDOW.*|VTE_.*|ITERM.*|KITTY_.*|ALACRITTY_.*|WEZTERM_.*|KONSOLE_.*|VSCODE_.*|WT_.*|WSL.*|NAME|HOSTTYPE|MAKE.*|MFLAGS|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_.*|MANAGERPID|LAB(_.*)?|BASH_FUNC_.*|CONDA_(PROMPT|SHLVL|EXE|PYTHON_EXE).*|NVM_.*|PYENV_.*|DEBIAN_FRONTEND|EUID)$'
# Variables of the caller's machine, which are wrong on another host.
readonly OF_HOST='^(CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|HIP_VISIBLE_DEVICES|ZE_AFFINITY_MASK|SLURM_.*|SBATCH_.*|SALLOC_.*|SRUN_.*|RAY_.*)$'
# Facts of a flight: with some of them a training run could look up the ledger.
readonly OF_A_FLIGHT='^(BRANCH|TAG|ON_KEEP|ON_TROUBLE|GIT_FOLDER|LAB|LAB_.*)$'

# caller_names: prints the names of the caller's variables without our settings, sorted, one a line.
caller_names() { compgen -e | sed 's/^LAB_CALLER_//' | grep -vE "$OF_SESSION" | grep -vxF "$(printf '%s\n' AGENT ENGINE PASS_ENV "${SETTINGS[@]}")" | sort -u; }

# caller_value NAME: sets VALUE; fails where there is no such name.
caller_value() {
  local name=$1
  [[ -z $(declare -p "LAB_CALLER_$1" 2>/dev/null) ]] || name=LAB_CALLER_$1
  [[ -n ${!name+set} ]] || return 1
  VALUE=${!name}
}

# environment_of_training [far]: prints the caller's variables for RUN_DIR/env, the whole environment of a run: without
# keys, variables of a terminal (or, far, of this machine), and values of more than one line, which that file cannot
# hold.
environment_of_training() {
  local name names value our_names=" ${OURS[*]} " keys=''
  [[ ! -e $TREE/.env ]] || keys=" $(names_of_keys | tr '\n' ' ')"
  mapfile -t names < <(compgen -e)
  for name in "${names[@]}"; do
    value=${!name}
    [[ $our_names != *" $name "* && $name != @(PROFILE|TIME_BUDGET|SEED|AUTORESEARCH_CACHE) ]] || continue
    name=${name#LAB_CALLER_}
    [[ ! $name =~ $OF_A_FLIGHT && (! $name =~ $OF_SESSION || $name == @(USER|LOGNAME)) && $keys != *" $name "* ]] || continue
    [[ ${1:-} != far || ! $name =~ $OF_HOST ]] || continue
    [[ ! ${name^^} =~ $SECRET_NAME && ! ${value,,} =~ $SECRET_VALUE && $value != *$'\n'* ]] || continue
    printf '%s=%s\n' "$name" "$value"
  done
}
