# Settings of a repository: autoresearch.toml, or [tool.autoresearch] in its pyproject.toml. Each verb exports those
# that the environment does not have. Sourced by common.sh.
# shellcheck shell=bash

# has_settings_file: starts no process, since every verb asks.
has_settings_file() {
  local text=''
  [[ ! -e $TREE/autoresearch.toml ]] || return 0
  [[ -e $TREE/pyproject.toml ]] || return 1
  IFS= read -r -d '' text <"$TREE/pyproject.toml" || :
  [[ $text == *'[tool.autoresearch]'* ]]
}

# take_settings_file: exports the settings; LAB_FROM_FILE holds their names, for child processes, too.
take_settings_file() {
  local lines line
  export LAB_FROM_FILE=
  has_settings_file || return 0
  lines=$("$LAB_PYTHON" -I "$TOOLKIT/lib/run/read-settings" "$TREE") || exit 2
  while IFS= read -r line; do
    [[ -n $line && ! -v ${line%%=*} ]] || continue
    export "${line?}"
    LAB_FROM_FILE+="${line%%=*} "
  done <<<"$lines"
}

[[ -n ${LAB_FROM_FILE+set} || ${1:-} == @(-h|--help) ]] || take_settings_file
