# A change that a person made in the tree (bin/experiment --from-tree) or committed on the branch. runs/<tag>/edit holds
# it, whole or not at all, until 10-propose moves it into a flight. Sourced.
# shellcheck shell=bash

# name_agent: sets LAB_AGENT, if it is not set, from the variables that coding agents set in their shells.
name_agent() {
  local mark
  for mark in CLAUDECODE:claude-code CODEX_THREAD_ID:codex CODEX_CI:codex GEMINI_CLI:gemini-cli OPENCODE:opencode PI_CODING_AGENT:pi; do
    [[ -n ${LAB_AGENT+set} || -z $(printenv "${mark%%:*}") ]] || export LAB_AGENT=${mark#*:}
  done
}

# save_edit DESCRIPTION PARENT AGENT [COMMIT]: saves the edited files of the tree, or the change of COMMIT, durably. An
# earlier change that was not measured is kept aside.
save_edit() {
  local new=$RUN/edit.new
  write_edit "$new" "$@"
  if is_same_code "$new" "$RUN/edit"; then
    rm -rf "$RUN/edit"
  else
    shelve_edit "$RUN/edit" "$(files_told) was edited again"
  fi
  mv "$new" "$RUN/edit"
  make_durable "$RUN"
}

# write_edit FOLDER DESCRIPTION PARENT AGENT [COMMIT]: writes the change, durably.
write_edit() {
  local path target parts parent
  parent=$(git rev-parse "$3")
  rm -rf "$1"
  mkdir "$1"
  if [[ -n ${5:-} ]]; then read_all TOUCHED changed_files "$3" "$5" --diff-filter=d; else edited_files; fi
  for path in "${TOUCHED[@]}"; do
    target=$1/after/$path
    mkdir -p "${target%/*}"
    if [[ -n ${5:-} ]]; then show_file "$5" "$path" >"$target"; else cp "$path" "$target"; fi
  done
  put "$1/description" "$2"
  put "$1/agent" "$4"
  put "$1/parent" "$parent"
  read_all parts find "$1" -print0
  make_durable "${parts[@]}"
}

# take_edit: moves the change into the flight. Fails if there is none.
take_edit() {
  [[ ! -e $FLIGHT/edit ]] || return 0
  [[ -e $RUN/edit ]] && mv -T "$RUN/edit" "$FLIGHT/edit" 2>/dev/null
}

# return_edit: moves the change of a flight without a commit back.
return_edit() {
  [[ -e $FLIGHT/edit ]] || return 0
  shelve_edit "$RUN/edit" 'an earlier change comes first'
  mv "$FLIGHT/edit" "$RUN/edit"
}

# shelve_edit FOLDER WHY: keeps a change that is not tried, for the person.
shelve_edit() {
  local aside
  [[ -e $1 ]] || return 0
  aside=$RUN/aside/edit-$(date +%Y%m%d-%H%M%S)-$$
  mkdir -p "$RUN/aside"
  mv "$1" "$aside"
  tell "not tried: '$(<"$aside/description")': $2; the change is in '${aside#"$TREE/"}'"
}

# tell_of_edit: says that a change still waits, however the verb ends.
tell_of_edit() {
  [[ ! -e $RUN/edit ]] ||
    say "the change of $(files_told) is saved in '${RUN#"$TREE/"}/edit'; to try it, repeat the command, or: make loop"
}
