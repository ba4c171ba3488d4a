# Strict mode, paths, words and help that every verb and step shares. Sourced, never run.
# shellcheck shell=bash

# Said in a way that bash 3.2, which macOS ships, still understands.
if [[ ${OSTYPE:-} != linux* ]] || ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  printf '%s\n' "${0##*/}: this platform is not supported: '${OSTYPE:-unknown}', bash '$BASH_VERSION'" \
    'hint: use Linux or WSL, with bash 4.4 or later' >&2
  exit 2
fi

set -Eeuo pipefail
shopt -s inherit_errexit
trap 'exit 2' ERR # whatever nobody has foreseen is a fault of the toolkit or the machine

source "${BASH_SOURCE[0]%/*}/environment.sh"

TOOLKIT=$PWD
# In this very shell, for a subshell in each script would be felt; and back, unless that folder is gone.
cd -P -- "${BASH_SOURCE[0]%/*}/.."
[[ $PWD == "$TOOLKIT" ]] || { cd -- "$TOOLKIT" && TOOLKIT=$OLDPWD; } 2>/dev/null || TOOLKIT=$PWD
# The toolkit (bin, lib, schemas), and the git tree that a run works on (train.py, prepare.py, runs, memory, .env, the
# environment). They are one place, but for a loop: that runs from a copy in its run (lib/run/toolkit_copy.sh); and where
# AUTORESEARCH_TREE names another repository (bin/adopt): ADOPTED_BY is the toolkit that works on that.
TREE=$TOOLKIT ADOPTED_BY=
if [[ -e $TOOLKIT/.copy ]]; then
  TREE=${TOOLKIT%/*/*/*/*} # of TREE/runs/<tag>/toolkit/<hash>
  read -r ADOPTED_BY <"$TOOLKIT/.copy" || :
elif [[ -n ${AUTORESEARCH_TREE:-} && ! $AUTORESEARCH_TREE -ef $TOOLKIT ]]; then
  TREE=$(cd -P -- "$AUTORESEARCH_TREE" 2>/dev/null && pwd) || TREE=$AUTORESEARCH_TREE # name_tree says so
  ADOPTED_BY=$TOOLKIT
fi
VENV=${UV_PROJECT_ENVIRONMENT:-$TREE/.venv}
LAB=$TOOLKIT/lib/core # the Python core
LAB_PYTHON=$VENV/bin/python
[[ -x $LAB_PYTHON ]] || LAB_PYTHON=python3 # of the system, until there is an environment, and where it is broken
# shellcheck disable=SC2034 # used where this is sourced
readonly TOOLKIT TREE ADOPTED_BY VENV LAB LAB_PYTHON
export LAB
[[ -z $ADOPTED_BY ]] || export LAB_MAKE="make -C '$ADOPTED_BY' DIR='$TREE'" # what `make` is, in a hint

source "$TOOLKIT/lib/run/settings_file.sh"
source "$TOOLKIT/lib/platform.sh"
source "$TOOLKIT/lib/git.sh"

export UV_PROJECT_ENVIRONMENT=$VENV # in a fresh worktree `uv run --no-sync` would silently make an empty one
export UV_SYSTEM_CERTS=1            # uv ignores the system's certificates otherwise
export UV_PYTHON_DOWNLOADS=never

# say WORD...: one line for the person, on stderr. A terminal that has gone away (a closed ssh) is no error.
say() {
  if [[ -z $ADOPTED_BY ]]; then printf '%s\n' "$*" >&2 || :; else for_here "$*" >&2 || :; fi
}

# for_here TEXT: prints it with what `make loop` is where the toolkit works on another repository.
for_here() {
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

# tell WORD...: say it, and keep it in the run's own log of the night.
tell() {
  say "$*"
  printf '%(%Y-%m-%dT%H:%M:%S%z)T %s\n' -1 "$*" >>"$RUN/loop.log" || : # a full disk ends no loop
}

# die PROBLEM [HINT]: the end, for a fault of usage, of the machine or of the toolkit. The subject may hold anything:
# what would move the cursor of a terminal, or begin another line, is shown as `?`.
die() {
  say "${0##*/}: ${1//[[:cntrl:]]/?}"
  [[ -z ${2:-} ]] || say "hint: $2"
  exit 2
}

# help_if_asked "$@": the header comment of the calling file is its help. Verbs that take no argument refuse any.
help_if_asked() {
  case ${1:-} in
    -h | --help)
      sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" 2>/dev/null || : # who reads it may end first
      exit 0
      ;;
    ?*) die "unknown argument '$1'" "bin/${0##*/} --help" ;;
    *) ;;
  esac
}

# note FILE WORD...: write one line, for a step that comes later: if this one does not come to its end, it is written again.
note() { printf '%s\n' "${*:2}" >"$1"; }

# last_line TEXT: LAST_LINE is the last line of it that says something, with `?` for what a terminal would obey; empty where none does.
# shellcheck disable=SC2034 # used where this is sourced
last_line() {
  local line
  LAST_LINE=
  while IFS= read -r line || [[ -n $line ]]; do
    [[ ! $line =~ [^[:space:]] ]] || LAST_LINE=${line//[[:cntrl:]]/?}
  done <<<"$1"
}

# put FILE WORD...: write one line so that the file is either as it was or whole, for whoever may read it at any time.
put() {
  local file=$1
  shift
  printf '%s\n' "$*" >"$file.new"
  mv -f "$file.new" "$file"
}
