# A change of train.py that somebody has made in the tree, for bin/experiment --from-tree, or committed on the branch. runs/<tag>/edit
# has it, whole or not at all, until 10-propose takes it into a flight. Sourced.
# shellcheck shell=bash

# is_edited: whether train.py is not the one that is checked out.
is_edited() { ! cmp -s train.py <(git cat-file --filters HEAD:train.py); }

# name_agent: whose change it is, where LAB_AGENT does not say it: coding agents leave a mark in the shells that they start.
name_agent() {
  local mark
  for mark in CLAUDECODE:claude-code CODEX_THREAD_ID:codex CODEX_CI:codex GEMINI_CLI:gemini-cli OPENCODE:opencode PI_CODING_AGENT:pi; do
    [[ -n ${LAB_AGENT+set} || -z $(printenv "${mark%%:*}") ]] || export LAB_AGENT=${mark#*:}
  done
}

# save_edit DESCRIPTION TRAIN_PY PARENT AGENT: durably; an earlier one that nobody has measured is not thrown away.
save_edit() {
  local new=$RUN/edit.new
  write_edit "$new" "$@"
  if cmp -s "$new/train.py" "$RUN/edit/train.py"; then
    rm -rf "$RUN/edit"
  else
    shelve_edit "$RUN/edit" 'train.py has been edited again'
  fi
  mv "$new" "$RUN/edit"
  make_durable "$RUN"
}

# write_edit FOLDER DESCRIPTION TRAIN_PY PARENT AGENT: durably.
write_edit() {
  rm -rf "$1"
  mkdir "$1"
  cp "$3" "$1/train.py"
  put "$1/description" "$2"
  put "$1/agent" "$5"
  put "$1/parent" "$4"
  make_durable "$1"/* "$1"
}

# take_edit: into the flight. Fails where it has none.
take_edit() {
  [[ ! -e $FLIGHT/edit ]] || return 0
  [[ -e $RUN/edit ]] && mv -T "$RUN/edit" "$FLIGHT/edit" 2>/dev/null
}

# return_edit: of a flight that has come to no commit.
return_edit() {
  [[ -e $FLIGHT/edit ]] || return 0
  shelve_edit "$RUN/edit" 'an earlier one comes first'
  mv "$FLIGHT/edit" "$RUN/edit"
}

# shelve_edit FOLDER WHY: one that is not tried stays, for the person.
shelve_edit() {
  local aside
  [[ -e $1 ]] || return 0
  aside=$RUN/aside/edit-$(date +%Y%m%d-%H%M%S)-$$
  mkdir -p "$RUN/aside"
  mv "$1" "$aside"
  tell "not tried, for $2: '$(<"$aside/description")'; its train.py is in '${aside#"$TREE/"}'"
}

# tell_of_edit: one that waits still, however this verb ends.
tell_of_edit() {
  [[ ! -e $RUN/edit ]] || say "the change of train.py waits in '${RUN#"$TREE/"}/edit': the same command, or make loop, goes on with it"
}
