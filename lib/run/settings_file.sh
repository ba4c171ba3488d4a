# What a repository has in autoresearch.toml, or in [tool.autoresearch] of its pyproject.toml, is in the environment of each verb, where that has
# no such name. Sourced by common.sh.
# shellcheck shell=bash

# has_settings_file: without a process, for each verb asks.
has_settings_file() {
  local text=''
  [[ ! -e $TREE/autoresearch.toml ]] || return 0
  [[ -e $TREE/pyproject.toml ]] || return 1
  IFS= read -r -d '' text <"$TREE/pyproject.toml" || :
  [[ $text == *'[tool.autoresearch]'* ]]
}

# take_settings_file: exports them; LAB_FROM_FILE has their names, also for what this verb starts.
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
