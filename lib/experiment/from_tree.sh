# A change of train.py that somebody has made in the tree, for bin/experiment --from-tree. runs/<tag>/edit has it, whole or not
# at all, until 10-propose takes it into the flight. Sourced.
# shellcheck shell=bash

# is_edited: whether train.py is neither HEAD's nor one that the experiment in flight puts there.
is_edited() { ! train_is_of_flight && ! cmp -s train.py <(git cat-file --filters HEAD:train.py); }

# save_edit DESCRIPTION: train.py as it is, durably; an earlier one that nobody has measured is not thrown away.
save_edit() {
  local new=$RUN/edit.new
  rm -rf "$new"
  mkdir "$new"
  cp train.py "$new/train.py"
  put "$new/description" "$1"
  put "$new/agent" "$LAB_AGENT"
  put "$new/parent" "$(git rev-parse HEAD)"
  make_durable "$new"/* "$new"
  if cmp -s "$new/train.py" "$RUN/edit/train.py"; then
    rm -rf "$RUN/edit"
  else
    shelve_edit "$RUN/edit" 'train.py has been edited again'
  fi
  mv "$new" "$RUN/edit"
  make_durable "$RUN"
}

# take_edit: into the flight, where it is made on what is HEAD's train.py still. Fails where the flight has none.
take_edit() {
  local parent
  if [[ -e $RUN/edit && ! -e $FLIGHT/edit ]]; then
    parent=$(<"$RUN/edit/parent")
    if [[ $(git rev-parse "$parent:train.py") == $(git rev-parse HEAD:train.py) ]]; then
      mv "$RUN/edit" "$FLIGHT/edit"
    else
      shelve_edit "$RUN/edit" 'there is another incumbent since'
    fi
  fi
  [[ -e $FLIGHT/edit ]]
}

# return_edit: of a flight that has come to no commit. What is HEAD's own train.py need not wait.
return_edit() {
  [[ -e $FLIGHT/edit ]] && ! cmp -s "$FLIGHT/edit/train.py" <(git cat-file --filters HEAD:train.py) || return 0
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
