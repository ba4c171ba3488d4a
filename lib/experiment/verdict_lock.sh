# The locks that a step needs: that of the verdicts, so that flights are judged one by one, and that of the catalog.
# Sourced by dispatch.
# shellcheck shell=bash

OUR_TURN=    # when this process got the verdict lock; empty without it
HAS_CATALOG= # whether this process has the lock of the catalog

# wait_for FD: waits for the lock on the open file. Each try is a new process at the end of the queue, so it waits long.
wait_for() {
  until run_child "${LOCK[@]}" 60 "$1"; do
    beat
    exit_if_stopped
  done
}

# take_turn: takes the verdict lock. It ends with this process and the step that it started.
take_turn() {
  [[ -z $OUR_TURN ]] || return 0
  exec 5<>"$RUN/verdict.lock"
  moment
  ASKED=$MOMENT
  wait_for 5
  moment
  OUR_TURN=$MOMENT
}

# take_catalog: takes the catalog's lock until its proposal is a commit, so that it does not propose an idea twice.
take_catalog() {
  [[ -z $HAS_CATALOG ]] || return 0
  exec 4<>"$RUN/catalog.lock"
  wait_for 4
  HAS_CATALOG=yes
}

# end_turn: releases the verdict lock. RUN/turns records the flight, its step, and the hundredths of a second of waiting
# and holding (tests/bench/slots).
end_turn() {
  [[ -n $OUR_TURN ]] || return 0
  moment
  printf '%s %s %s %s\n' "${FLIGHT##*/}" "$STEP" $((OUR_TURN - ASKED)) $((MOMENT - OUR_TURN)) >>"$RUN/turns" || :
  exec 5>&-
  OUR_TURN=
}

# note_branch: writes the commits that the next step starts from and compares with.
note_branch() {
  look_at_branch
  note "$FLIGHT/tip" "$TIP"
  note "$FLIGHT/tip_compared" "$COMPARED"
  note "$FLIGHT/tip_base" "$INCUMBENT"
}

# prepare_step: takes the locks that the step needs.
prepare_step() {
  case $STEP in
    10-*)
      # Always before the turn: the other order could deadlock.
      [[ $AGENT_PATH != */proposers/catalog ]] || take_catalog
      take_turn
      note_branch
      end_turn
      ;;
    15-* | 40-* | 70-*)
      take_turn
      note_branch
      ;;
    20-* | 80-*) take_turn ;; # held already, unless it was interrupted; no two flights may get the same commit
    *)
      exec 4>&-
      HAS_CATALOG=
      end_turn
      ;;
  esac
}
