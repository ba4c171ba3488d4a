# A flight whose steps fail ends alone, not the night. Sourced by dispatch, whose STEP and turn this uses.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/lost_objects.sh"

# step_failed STATUS: of the step STEP. What it needs may have been deleted from git: then that is mended first.
step_failed() {
  local how
  [[ -e $FLIGHT && ! -e $FLIGHT/for_person ]] || { rm -f "$FLIGHT/for_person" && exit 2; } # what a person is to do was said
  how="step $STEP failed twice, with exit status $1$(sed 's/^/: /' "$FLIGHT/fault" 2>/dev/null)" || :
  if mend_lost; then
    return
  elif [[ $(cat "$FLIGHT/failed" 2>/dev/null) != "$how" ]]; then
    put "$FLIGHT/failed" "$how"
    tell "step '$STEP' of flight '${FLIGHT##*/}' failed: it is done once more"
    exit 8
  fi
  give_up "$how"
}

# give_up WHY: what is on record already is settled, or left to the next look at the branch.
give_up() {
  [[ $(cat "$FLIGHT/agent" 2>/dev/null) != baseline ]] || exit 2
  note "$FLIGHT/given_up" "$1"
  tell "flight '${FLIGHT##*/}' is given up: $1"
  if [[ $STEP != 80-* && -e $FLIGHT/commit ]] && is_whole_commit "$(<"$FLIGHT/commit")"; then
    take_turn
    core give_up "$FLIGHT"
    STEP=80-settle
    run_child "$BASH" "$TOOLKIT/lib/experiment/steps/$STEP" >"$FLIGHT/word" || tell "its row is there, but it could not be settled"
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
