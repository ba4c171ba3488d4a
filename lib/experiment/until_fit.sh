# Waits until a faulty machine works again. Sourced, after run/machine_faults.sh, run/notify.sh, run/restart.sh and
# experiment/slots.sh.
# shellcheck shell=bash

FIT_AT=0           # the moment when it was found to be fit again
FIT_WAIT_S=$MINUTE # until the next look: it grows until there is a row, for not every fault can be seen by a look

# until_fit KIND SINCE: waits until this part of the machine works. It has failed since that moment (FOUND says how),
# unless a later check passed. The checks become rarer. Flights stay as they are.
until_fit() {
  (($2 >= FIT_AT)) || return 0
  [[ $1 != disk ]] || clear_free_slots
  while [[ -n $FOUND ]] && is_wanted; do
    trouble machine "$FOUND; checking again in $FIT_WAIT_S s"
    pause "$FIT_WAIT_S"
    FIT_WAIT_S=$((FIT_WAIT_S < 30 * MINUTE ? 2 * FIT_WAIT_S : 60 * MINUTE))
    look_again "$1"
    exit_if_stopped
  done
  moment
  FIT_AT=$MOMENT
}

# look_again KIND: checks again. FOUND is empty if the part works; for GPUs, those of any slot count.
look_again() {
  local slot out
  out=$(slots_out)
  if [[ $1 != gpu* || -z $out ]]; then
    fault "$1"
    return
  fi
  for slot in $out; do
    look_at_slot "$slot"
    exit_if_stopped
    [[ -n $FOUND ]] || return 0
  done
}

# pause SECONDS: waits, but ends at a stop or a signal.
pause() {
  local second
  for ((second = 0; second < $1; second++)); do
    is_wanted || return 0
    beat
    run_child sleep 1 || :
    exit_if_stopped
  done
}

# rest_a_while: pauses when flights are given up in a row, because the toolkit or the machine may be at fault. Each
# pause is longer, until there is a row.
rest_a_while() {
  trouble loop "gave up $GIVEN_UP experiments in a row; continuing in $FIT_WAIT_S s"
  pause "$FIT_WAIT_S"
  FIT_WAIT_S=$((FIT_WAIT_S < 30 * MINUTE ? 2 * FIT_WAIT_S : 60 * MINUTE))
}

# new_core: replaces a killed core. The training runs that the old one watched are repeated.
new_core() {
  tell 'the Python helper process of this loop was killed; started a new one'
  end_core
  start_core
  core check_run "$RUN" checked || exit 2
}
