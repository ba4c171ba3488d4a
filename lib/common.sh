# Strict mode, paths, messages and help, for every verb and step. Sourced.
# shellcheck shell=bash

# This check must run in bash 3.2, which macOS ships.
if [[ ${OSTYPE:-} != linux* ]] || ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  printf '%s\n' "${0##*/}: this platform is not supported: '${OSTYPE:-unknown}', bash '$BASH_VERSION'" \
    'hint: use Linux or WSL, with bash 4.4 or later' >&2
  exit 2
fi

set -Eeuo pipefail
shopt -s inherit_errexit
trap 'exit 2' ERR # an unexpected failure is a fault of the toolkit or the machine

source "${BASH_SOURCE[0]%/*}/environment.sh"

TOOLKIT=$PWD
# No subshell, which would slow down every script. Then back to the caller's folder, unless it was deleted.
cd -P -- "${BASH_SOURCE[0]%/*}/.."
[[ $PWD == "$TOOLKIT" ]] || { cd -- "$TOOLKIT" && TOOLKIT=$OLDPWD; } 2>/dev/null || TOOLKIT=$PWD
# TOOLKIT has bin, lib and schemas. TREE is the git tree of the runs: train.py, prepare.py, runs, memory, .env and
# .venv. They are the same folder, except that a loop runs from a copy of the toolkit (lib/run/toolkit_copy.sh), and
# that AUTORESEARCH_TREE may name another repository (bin/adopt). ADOPTED_BY is then the toolkit in use.
TREE=$TOOLKIT ADOPTED_BY=
if [[ -e $TOOLKIT/.copy ]]; then
  TREE=${TOOLKIT%/*/*/*/*} # the copy is TREE/runs/<tag>/toolkit/<hash>
  read -r ADOPTED_BY <"$TOOLKIT/.copy" || :
elif [[ -n ${AUTORESEARCH_TREE:-} && ! $AUTORESEARCH_TREE -ef $TOOLKIT ]]; then
  TREE=$(cd -P -- "$AUTORESEARCH_TREE" 2>/dev/null && pwd) || TREE=$AUTORESEARCH_TREE # open_repository reports it
  ADOPTED_BY=$TOOLKIT
fi
VENV=${UV_PROJECT_ENVIRONMENT:-$TREE/.venv}
LAB=$TOOLKIT/lib/core # the Python core
LAB_PYTHON=$VENV/bin/python
[[ -x $LAB_PYTHON ]] || LAB_PYTHON=python3 # the system's, until there is an environment
# shellcheck disable=SC2034 # used where this is sourced
readonly TOOLKIT TREE ADOPTED_BY VENV LAB LAB_PYTHON
export LAB
[[ -z $ADOPTED_BY ]] || export LAB_MAKE="make -C '$ADOPTED_BY' DIR='$TREE'" # what `make` means in a hint

source "$TOOLKIT/lib/run/settings_file.sh"
source "$TOOLKIT/lib/platform.sh"
source "$TOOLKIT/lib/git.sh"

export UV_PROJECT_ENVIRONMENT=$VENV # in a new worktree, uv run --no-sync would create an empty one
export UV_SYSTEM_CERTS=1            # by default uv ignores the system's certificates
export UV_PYTHON_DOWNLOADS=never

# say WORD...: prints one line for the person on stderr. A closed terminal is no error.
say() {
  if [[ -z $ADOPTED_BY ]]; then printf '%s\n' "$*" >&2 || :; else with_full_make "$*" >&2 || :; fi
}

# with_full_make TEXT: prints it with the full command for each `make TARGET`, if the toolkit works on another
# repository.
with_full_make() {
  local text=$1 said='' found
  while [[ $text =~ (^|[^[:alnum:]-])make\ ([a-z-]+) ]]; do
    found=${BASH_REMATCH[0]}
    said+=${text%%"$found"*}
    text=${text#*"$found"}
    [[ ! -x $TOOLKIT/bin/${BASH_REMATCH[2]/#once/experiment} ]] || found=${BASH_REMATCH[1]}$LAB_MAKE\ ${BASH_REMATCH[2]}
    said+=$found
  done
  printf '%s\n' "$said$text"
}

# tell WORD...: says it, and appends it to the run's loop.log.
tell() {
  say "$*"
  printf '%(%Y-%m-%dT%H:%M:%S%z)T %s\n' -1 "$*" >>"$RUN/loop.log" || : # a full disk does not end the loop
}

# die PROBLEM [HINT]: ends a verb on a fault of usage, machine or toolkit. Control characters become `?`.
die() {
  local name=${0##*/}
  [[ $0 != */lib/experiment/* ]] || name=experiment # a person does not know the steps
  say "$name: ${1//[[:cntrl:]]/?}"
  [[ -z ${2:-} ]] || say "hint: $2"
  exit 2
}

# help_if_asked "$@": prints the header comment of the calling script as its help. Refuses any other argument.
help_if_asked() {
  case ${1:-} in
    -h | --help)
      sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" 2>/dev/null || : # a reader such as head may end first
      exit 0
      ;;
    ?*) die "unknown argument '$1'" "bin/${0##*/} --help" ;;
    *) ;;
  esac
}

# note FILE WORD...: writes one line for a later step. A step that is interrupted writes it again.
note() { printf '%s\n' "${*:2}" >"$1"; }

# last_line TEXT: sets LAST_LINE to the last line of TEXT that is not blank, with `?` for control characters.
# shellcheck disable=SC2034 # used where this is sourced
last_line() {
  local line
  LAST_LINE=
  while IFS= read -r line || [[ -n $line ]]; do
    [[ ! $line =~ [^[:space:]] ]] || LAST_LINE=${line//[[:cntrl:]]/?}
  done <<<"$1"
}

# put FILE WORD...: writes one line by rename, so that a reader never sees half a file.
put() {
  local file=$1
  shift
  printf '%s\n' "$*" >"$file.new"
  mv -f "$file.new" "$file"
}

if [[ -n ${LAB_GIVEN:-} ]]; then # the names on make's command line
  source "$TOOLKIT/lib/run/mistyped.sh"
  read -ra given <<<"$LAB_GIVEN"
  unset LAB_GIVEN
  refuse_mistyped "${given[@]}"
fi
