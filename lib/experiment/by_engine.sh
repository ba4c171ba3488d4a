# Runs a training by an engine, and submits it again if the engine loses it. Sourced by training_run.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/machine_faults.sh"

readonly MOST_SUBMITTED=3 # times in a row that a run is handed to the engine, until the engine is what is waited for
readonly MINUTE_S=${LAB_MINUTE:-60}

# run_engine [--wait]: runs the engine to its end, with a progress line at a terminal. Repeats what the engine prints;
# SAID is its last line. A run may wait in a queue for hours, and does not count as hung.
run_engine() {
  local progress='' engine from status
  if [[ -t 2 ]]; then
    "$TOOLKIT/lib/experiment/progress-line" "$RUN_DIR" &
    progress=$!
    disown # bash would report its end
  fi
  engine_of "$RUN_DIR"
  SAID=
  exec {from}< <(exec "$ENGINE_OF" "$@" "$RUN_DIR" </dev/null 2>&1 9>&-)
  engine=$!
  # shellcheck disable=SC2004,SC2034 # child/run_child.sh passes signals on to them
  CHILDREN[$engine]=yes
  [[ -z $STOPPED ]] || kill -TERM "$engine" 2>/dev/null || :
  while :; do
    status=0
    IFS= read -r -t "$MINUTE_S" -u "$from" line || status=$?
    if ((status == 0)); then
      SAID=$line
      tell "$line"
    elif ((status <= 128)); then
      break # it has ended
    elif is_far && [[ -z $STOPPED ]]; then
      state_of_run "$RUN_DIR"
      [[ $STATE == @(running|gone) ]] || beat
    fi
  done
  exec {from}<&-
  wait "$engine" || : # its status is in rc, or there is none
  unset "CHILDREN[$engine]"
  if [[ -n $progress ]]; then
    kill "$progress" 2>/dev/null || :
    printf '\r\e[K' >&2
  fi
}

# go_on_with_run: waits for a run of an earlier loop, in its slot and checkout, by its engine. Nothing recorded the
# state before it, so look_at_code compares its code.
go_on_with_run() {
  SLOT=$(<"$RUN_DIR/slot")
  take_this_slot
  CHECKOUT=$(<"$RUN_DIR/cwd")
  engine_of "$RUN_DIR"
  core look_before "$RUN_DIR"
  tell "continuing a run that an earlier loop started on engine '${ENGINE_OF##*/}': '${RUN_DIR#"$RUN/"}'"
  run_engine --wait
  exit_if_stopped
}

# look_at_code COMMIT: prints the files of the checkout that differ from the commit.
look_at_code() {
  local held=()
  [[ ! -e $RUN_DIR/held ]] || mapfile -t held <"$RUN_DIR/held"
  slot_git diff --name-only "$1" -- train.py prepare.py pyproject.toml "${held[@]}"
}

# run_has_no_end: handles an engine that ended without a result: a lost host, a cluster that does not answer, a
# cancelled job. The experiment is not at fault, so the run is submitted again, in a fresh checkout, because the lost
# run may still write to the old one. If that does not help, the flight waits for the machine.
run_has_no_end() {
  local why=${SAID:-it does not say why} seconds=$((MINUTE_S * (1 << (SUBMITTED > 3 ? 3 : SUBMITTED)) / 12))
  kill -0 "$LAB_HOLDER" 2>/dev/null || exit 2 # the loop was killed: the next one goes on with the run
  why="engine '${ENGINE_OF##*/}' ended without a result: $why"
  cancel_run "$RUN_DIR"
  fault disk
  [[ -z $FOUND ]] || wait_for_machine disk
  fault engine
  [[ -z $FOUND ]] || wait_for_machine engine
  FOUND=$why
  ((SUBMITTED < MOST_SUBMITTED)) || wait_for_machine engine
  is_far || seconds=0 # somebody has killed the runner: there is nothing to wait for
  tell "$why; starting the run again in $seconds s"
  find "$RUN_DIR" -mindepth 1 -maxdepth 1 ! -name next ! -name commit -exec rm -rf {} +
  mkdir -p "$RUN_DIR/record"
  rm -rf "$CHECKOUT" "$RUN/slots/$SLOT.index"
  run_child sleep "$seconds" || :
  exit_if_stopped
  beat
}

# wait_for_machine KIND: lets the flight wait for the machine. FOUND says what is wrong. A run outside of a flight ends.
wait_for_machine() {
  [[ -n ${FLIGHT:-} ]] || die "$FOUND" 'repair it, then repeat the command'
  rm -rf "$RUN_DIR"
  moment
  put "$FLIGHT/machine" "$1 $MOMENT $FOUND"
  printf 'wait\n'
  exit 0
}
