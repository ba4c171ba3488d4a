# Gives up a flight whose steps fail, so that the night goes on. Sourced by dispatch; uses its STEP and its turn.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/lost_objects.sh"

# step_failed STATUS: restores deleted git objects, which may be the cause; else has the step repeated, and gives the
# flight up if it fails the same way again.
step_failed() {
  local how
  [[ -e $FLIGHT && ! -e $FLIGHT/for_person ]] || { rm -f "$FLIGHT/for_person" && exit 2; } # the person has been told what to do
  how="step $STEP failed twice, with exit status $1$(sed 's/^/: /' "$FLIGHT/fault" 2>/dev/null)" || :
  if mend_lost; then
    return
  elif [[ $(cat "$FLIGHT/failed" 2>/dev/null) != "$how" ]]; then
    put "$FLIGHT/failed" "$how"
    tell "step '$STEP' of experiment '${FLIGHT##*/}' failed: trying it once more"
    exit 8
  fi
  give_up "$how"
}

# give_up WHY: a flight with a commit gets a crash row and is settled; one without a commit is dropped.
give_up() {
  [[ $(cat "$FLIGHT/agent" 2>/dev/null) != baseline ]] || exit 2
  note "$FLIGHT/given_up" "$1"
  tell "gave up experiment '${FLIGHT##*/}': $1"
  if [[ $STEP != 80-* && -e $FLIGHT/commit ]] && is_whole_commit "$(<"$FLIGHT/commit")"; then
    take_turn
    core give_up "$FLIGHT"
    STEP=80-settle
    run_child "$BASH" "$TOOLKIT/lib/experiment/steps/$STEP" >"$FLIGHT/word" ||
      tell "its row is in the ledger, but its log and branch could not be updated"
    exit_if_stopped
    end_turn
    core drop "$FLIGHT"
    exit 9
  else
    printf '%s given-up\n' "${FLIGHT##*/}" >>"$RUN/flights/ended"
    shelve_edit "$FLIGHT/edit" "$1"
    [[ ! -e $FLIGHT/commit ]] || is_on_record "$(<"$FLIGHT/commit")" || git update-ref -d "refs/experiments/$TAG/$(<"$FLIGHT/commit")" || :
    core forgo "$FLIGHT"
    exit 10
  fi
}
