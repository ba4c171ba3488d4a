# Waiting for a machine that is at fault. Sourced, after run/machine_faults.sh, run/notify.sh, run/restart.sh and experiment/slots.sh.
# shellcheck shell=bash

FIT_AT=0           # the moment when it was found to be fit again
FIT_WAIT_S=$MINUTE # until the next look: it grows until there is a row, for not every fault can be seen by a look

# until_fit KIND SINCE: that part of the machine is at fault since that moment (FOUND says how), unless it was found to be fit later.
# It is looked at again and again, less and less often. What is in the air stays there.
until_fit() {
  (($2 >= FIT_AT)) || return 0
  [[ $1 != disk ]] || clear_free_slots
  while [[ -n $FOUND ]] && is_wanted; do
    trouble machine "$FOUND; looking again in $FIT_WAIT_S s"
    pause "$FIT_WAIT_S"
    FIT_WAIT_S=$((FIT_WAIT_S < 30 * MINUTE ? 2 * FIT_WAIT_S : 60 * MINUTE))
    look_again "$1"
    exit_if_stopped
  done
  moment
  FIT_AT=$MOMENT
}

# look_again KIND: FOUND is empty when it is fit: of the GPUs, those of any slot.
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

# pause SECONDS: in which a stop, or a signal, is heard.
pause() {
  local second
  for ((second = 0; second < $1; second++)); do
    is_wanted || return 0
    beat
    run_child sleep 1 || :
    exit_if_stopped
  done
}

# rest_a_while: flights are given up one after the other: it may be the toolkit, or the machine. Longer each time, until there is a row.
rest_a_while() {
  trouble loop "$GIVEN_UP flights were given up in a row; going on in $FIT_WAIT_S s"
  pause "$FIT_WAIT_S"
  FIT_WAIT_S=$((FIT_WAIT_S < 30 * MINUTE ? 2 * FIT_WAIT_S : 60 * MINUTE))
}

# new_core: the one that this loop had was killed. Training runs that it has looked at are made again.
new_core() {
  tell 'the Python core of this loop was killed: there is a new one'
  end_core
  start_core
  core check_run "$RUN" checked || exit 2
}
