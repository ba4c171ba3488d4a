# A change of train.py that somebody has made in the tree, for bin/experiment --from-tree, or committed on the branch. runs/<tag>/edit
# has it, whole or not at all, until 10-propose takes it into a flight. Sourced.
# shellcheck shell=bash

# is_edited: whether train.py is not the one that is checked out.
is_edited() { ! cmp -s train.py <(git cat-file --filters HEAD:train.py); }

# save_edit DESCRIPTION TRAIN_PY PARENT AGENT: durably; an earlier one that nobody has measured is not thrown away.
save_edit() {
  local new=$RUN/edit.new
  rm -rf "$new"
  mkdir "$new"
  cp "$2" "$new/train.py"
  put "$new/description" "$1"
  put "$new/agent" "$4"
  put "$new/parent" "$3"
  make_durable "$new"/* "$new"
  if cmp -s "$new/train.py" "$RUN/edit/train.py"; then
    rm -rf "$RUN/edit"
  else
    shelve_edit "$RUN/edit" 'train.py has been edited again'
  fi
  mv "$new" "$RUN/edit"
  make_durable "$RUN"
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
