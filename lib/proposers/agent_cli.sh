# What the adapters of coding agents share: those in lib/proposers that source it. One that does says what its command line is called, and
# how it is brought and logged in; then `begin "$@"`, `ask COMMAND...` and `answer`. It is a proposer (CONTRIBUTING.md); a line
# `# Held by:` in its head says what holds it to train.py beside our confinement (lib/doctor/75-held); and `--check` says whether its
# command line is there and a login is to be seen: no request is made. Sourced.
# shellcheck shell=bash

source "${BASH_SOURCE[0]%/*}/../common.sh"

# CLI      the command line
# INSTALL  how to bring it
# KEYS     variables that hold a key, or say that another login is used
# LOGINS   files of the home folder that hold a login, or a provider and its key
# NEEDS    `login`, where it works with one alone; else `provider`: a model on this machine needs no key
NEEDS=login

readonly VERSION_S=5 # seconds for its version: the slowest needs two
# Of those that take any provider.
# shellcheck disable=SC2034 # used where this is sourced
readonly ANY_KEYS='ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY OPENROUTER_API_KEY DEEPSEEK_API_KEY'

# quietly NAME=VALUE...: the switches that leave its updates and its telemetry off.
quietly() { [[ ${LAB_AGENT_QUIET:-1} == 0 ]] || export "${@?}"; }

# login: the first variable or file that is there.
login() {
  local one
  for one in $KEYS; do [[ -z ${!one:-} ]] || { printf '%s' "$one" && return; }; done
  for one in $LOGINS; do [[ ! -s ~/$one ]] || { printf '%s' "$one" && return; }; done
  return 1
}

# need_cli: the command line is there.
need_cli() { command -v "$CLI" >/dev/null || die "'$CLI' is not on PATH" "install it: $INSTALL"; }

# check: 0 and what was found; 1 where it may do without the login that is not to be seen; 2 it will not work.
check() {
  local version way
  need_cli
  version=$("${LIMITED[@]}" "$VERSION_S" "$CLI" --version </dev/null 2>&1) ||
    die "'$CLI --version' fails, or takes over $VERSION_S s" "see why: $CLI --version"
  version=${version%%$'\n'*}
  if way=$(login); then
    printf "%s, login by '%s'\n" "$version" "$way"
  elif [[ $NEEDS == login ]]; then
    die "$version, no login to be seen" "log in with $CLI, or set ${KEYS%% *}"
  else
    say "$CLI: $version, no login to be seen"
    say "hint: none is needed for a model on this machine; else log in with $CLI, or set ${KEYS%% *}"
    exit 1
  fi
}

# begin ARGUMENT...: says the files of the call: BRIEF, TRANSCRIPT, ERRORS, USAGE; and in IS_WAVE whether it may write candidates/NAME.py.
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
  local scratch=${TMPDIR:-/tmp}
  ERRORS=$scratch/errors
  TRANSCRIPT=${LAB_TRANSCRIPT:-$scratch/transcript}
  USAGE=${LAB_USAGE:-$scratch/usage.json}
  BRIEF=$LAB_BRIEF
  IS_WAVE=no
  # shellcheck disable=SC2034 # used where this is sourced
  ((${LAB_WANT:-1} <= 1)) || IS_WAVE=yes
}

# may_edit: MAY_EDIT are patterns of the files that it may change: train.py, or what LAB_EDITABLE names; what a pathspec leaves out again (:!)
# is held by whoever judges the change.
may_edit() {
  local spec specs
  MAY_EDIT=()
  read -ra specs <<<"${LAB_EDITABLE:-train.py}"
  for spec in "${specs[@]}"; do
    [[ $spec == :* ]] || MAY_EDIT+=("$spec")
    [[ ! -d $spec ]] || MAY_EDIT+=("${spec%/}/**")
  done
}

# edits_one_file: whether that is train.py alone.
edits_one_file() { [[ ${LAB_EDITABLE:-train.py} == train.py ]]; }

# is_ending FILE: whether the login that is there may be refreshed during a call: its access token ends before the call does, or within
# the five minutes in which these command lines get a new one.
is_ending() {
  local left
  left=$("$LAB" login-ends "$1") && [[ -n $left ]] && ((left < ${AGENT_TIMEOUT:-900} + 300))
}

# hold_login: a login can be refreshed once only; whoever comes second is logged out. So while it is due, one call goes alone, in
# whatever run; the lock, on the folder of the login, is on 9.
hold_login() {
  local file
  file=$(login) && [[ -f ~/$file ]] || return 0
  while is_ending ~/"$file"; do
    exec 9<"$(dirname ~/"$file")"
    if lock 9; then
      is_ending ~/"$file" || exec 9<&- # another call has just had it refreshed
      return
    fi
    exec 9<&-
    sleep 1
  done
}

# ask COMMAND...: with the brief as its stdin, and MODEL. It is ended a little before AGENT_TIMEOUT, so that what it said is heard.
ask() {
  local limit_s=${AGENT_TIMEOUT:-900}
  hold_login
  limit_s=$((SECONDS < limit_s ? limit_s - SECONDS : 1)) # it may have waited
  STATUS=0
  "${LIMITED[@]}" "$((limit_s > 6 ? limit_s - limit_s / 10 - 3 : limit_s))" "$@" ${MODEL:+--model "$MODEL"} \
    <"$BRIEF" >"$TRANSCRIPT" 2>"$ERRORS" 9<&- || STATUS=$?
}

# answer: the last word of the model, or the line of what went wrong; the end.
answer() {
  local status=0
  "$LAB" heard "$CLI" "$TRANSCRIPT" "$ERRORS" "$USAGE" --status "$STATUS" || status=$?
  cat "$ERRORS" >>"$TRANSCRIPT"
  exit "$status"
}
