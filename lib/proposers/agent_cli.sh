# Shared by the adapters of coding agents. An adapter is a proposer (CONTRIBUTING.md) that sources this file. It sets
# the variables below, and calls `begin "$@"`, `ask COMMAND...` and `answer`. The line `# Held by:` in its header says
# what limits the agent to train.py besides our confinement (lib/doctor/75-agent-sandboxes). `--check` looks for the
# command line and a login, without a request.
# shellcheck shell=bash

source "${BASH_SOURCE[0]%/*}/../common.sh"

# CLI      the command
# INSTALL  the command that installs it
# KEYS     variables that hold a key or select another login
# LOGINS   files in the home folder that hold a login, or a provider and its key
# NEEDS    `login`: it needs a login; `provider`: a model on this machine needs no key
NEEDS=login

readonly VERSION_S=5 # seconds for its version: the slowest needs two
# The keys of agents that work with any provider.
# shellcheck disable=SC2034 # used where this is sourced
readonly ANY_KEYS='ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY OPENROUTER_API_KEY DEEPSEEK_API_KEY'

# is_quiet: whether its updates and telemetry are to be off; quietly NAME=VALUE...: switches them off.
is_quiet() { [[ ${LAB_AGENT_QUIET:-1} != 0 ]]; }
quietly() { ! is_quiet || export "${@?}"; }

# login: prints the first variable or file that exists.
login() {
  local one
  for one in $KEYS; do [[ -z ${!one:-} ]] || { printf '%s' "$one" && return; }; done
  for one in $LOGINS; do [[ ! -s ~/$one ]] || { printf '%s' "$one" && return; }; done
  return 1
}

# need_cli: refuses if the command is missing.
need_cli() { command -v "$CLI" >/dev/null || die "'$CLI' is not on PATH" "install it: $INSTALL"; }

# check: exit 0: it works; 1: no login found, and it may need none; 2: it will not work. Says what was found.
check() {
  local version way
  need_cli
  version=$("${LIMITED[@]}" "$VERSION_S" "$CLI" --version </dev/null 2>&1) ||
    die "'$CLI --version' fails, or takes over $VERSION_S s" "see why: $CLI --version"
  version=${version%%$'\n'*}
  if way=$(login); then
    printf "%s, login by '%s'\n" "$version" "$way"
  elif [[ $NEEDS == login ]]; then
    die "$version, no login found" "log in with $CLI, or set ${KEYS%% *}"
  else
    say "$CLI: $version, no login found"
    say "hint: none is needed for a model on this machine; else log in with $CLI, or set ${KEYS%% *}"
    exit 1
  fi
}

# begin ARGUMENT...: sets BRIEF, and IS_WAVE: whether further candidates are wanted.
begin() {
  case ${1:-} in
    --check)
      check
      exit
      ;;
    --is-there) # is asked before a night begins
      need_cli
      exit
      ;;
    *) ;;
  esac
  help_if_asked "$@"
  need_cli
  BRIEF=$LAB_BRIEF
  IS_WAVE=no
  # shellcheck disable=SC2034 # used where this is sourced
  ((LAB_WANT == 1)) || IS_WAVE=yes
}

# may_edit: sets MAY_EDIT, patterns of the files that the agent may change: train.py, or the files in LAB_EDITABLE.
# 20-commit checks exclusions in a pathspec (:!).
may_edit() {
  local spec specs
  MAY_EDIT=()
  read -ra specs <<<"${LAB_EDITABLE:-train.py}"
  for spec in "${specs[@]}"; do
    [[ $spec == :* ]] || MAY_EDIT+=("$spec")
    [[ ! -d $spec ]] || MAY_EDIT+=("${spec%/}/**")
  done
}

# edits_one_file: whether it may change train.py only.
edits_one_file() { [[ ${LAB_EDITABLE:-train.py} == train.py ]]; }

# is_ending FILE: whether the agent may refresh the login during this call: the access token ends before the call, or
# within the five minutes in which agents get a new one.
is_ending() {
  local left
  left=$("$LAB" login-ends "$1") && [[ -n $left ]] && ((left < ${AGENT_TIMEOUT:-900} + 300))
}

# hold_login: a login can be refreshed only once; a second call that tries is logged out. So while a refresh is due, one
# call of all runs goes alone. The lock, on the folder of the login, is on 9.
hold_login() {
  local file
  file=$(login) && [[ -f ~/$file ]] || return 0
  while is_ending ~/"$file"; do
    exec 9<"$(dirname ~/"$file")"
    if lock 9; then
      is_ending ~/"$file" || exec 9<&- # another call has just refreshed it
      return
    fi
    exec 9<&-
    sleep 1
  done
}

# ask COMMAND...: runs it with the brief on stdin, and MODEL. It ends a little before AGENT_TIMEOUT, so that its output
# is read.
ask() {
  local limit_s=${AGENT_TIMEOUT:-900}
  hold_login
  limit_s=$((SECONDS < limit_s ? limit_s - SECONDS : 1)) # it may have waited
  STATUS=0
  "${LIMITED[@]}" "$((limit_s > 6 ? limit_s - limit_s / 10 - 3 : limit_s))" "$@" ${MODEL:+--model "$MODEL"} \
    <"$BRIEF" >"$LAB_TRANSCRIPT" 2>"$TMPDIR/errors" 9<&- || STATUS=$?
}

# answer: prints the last message of the model, or what went wrong, and exits.
answer() {
  local status=0
  "$LAB" heard "$CLI" "$LAB_TRANSCRIPT" "$TMPDIR/errors" "$LAB_USAGE" --status "$STATUS" || status=$?
  cat "$TMPDIR/errors" >>"$LAB_TRANSCRIPT"
  exit "$status"
}
