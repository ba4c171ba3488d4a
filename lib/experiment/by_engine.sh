# A training run in the hands of an engine: to its end, or handed to it again. Sourced by training_run.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/machine_faults.sh"

readonly MOST_SUBMITTED=3 # times in a row that a run is handed to the engine, until the engine is what is waited for
readonly MINUTE_S=${LAB_MINUTE:-60}

# run_engine [--wait]: to its end, with a line of progress where a person looks; what it says is told, and SAID is the last of that. A run
# that waits in a queue may take hours: the flight does not hang.
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

# go_on_with_run: it has its slot, its checkout and its engine; nobody has looked at it from the start (look_at_code).
go_on_with_run() {
  SLOT=$(<"$RUN_DIR/slot")
  take_this_slot
  CHECKOUT=$(<"$RUN_DIR/cwd")
  engine_of "$RUN_DIR"
  core look_before "$RUN_DIR"
  tell "a run that an earlier loop has started is found again, by engine '${ENGINE_OF##*/}': '${RUN_DIR#"$RUN/"}'"
  run_engine --wait
  exit_if_stopped
}

# look_at_code COMMIT: which of its files are not any more what they were there, a line each.
look_at_code() {
  local held=()
  [[ ! -e $RUN_DIR/held ]] || mapfile -t held <"$RUN_DIR/held"
  slot_git diff --name-only "$1" -- train.py prepare.py pyproject.toml "${held[@]}"
}

# run_has_no_end: the engine has ended, but the run has not come to its end: a host was lost, a cluster does not answer, somebody has
# cancelled it. It is not the experiment's, and is submitted again, in another checkout: what was lost may be at work there still.
# Where that is of no use, the flight waits for the machine.
run_has_no_end() {
  local why=${SAID:-it does not say why} seconds=$((MINUTE_S * (1 << (SUBMITTED > 3 ? 3 : SUBMITTED)) / 12))
  kill -0 "$LAB_HOLDER" 2>/dev/null || exit 2 # the loop was killed: the next one goes on with the run
  why="engine '${ENGINE_OF##*/}' ended without a verdict on the run: $why"
  cancel_run "$RUN_DIR"
  fault disk
  [[ -z $FOUND ]] || wait_for_machine disk
  fault engine
  [[ -z $FOUND ]] || wait_for_machine engine
  FOUND=$why
  ((SUBMITTED < MOST_SUBMITTED)) || wait_for_machine engine
  is_far || seconds=0 # somebody has killed the runner: there is nothing to wait for
  tell "$why; again in $seconds s"
  find "$RUN_DIR" -mindepth 1 -maxdepth 1 ! -name next ! -name commit -exec rm -rf {} +
  mkdir -p "$RUN_DIR/record"
  rm -rf "$CHECKOUT" "$RUN/slots/$SLOT.index"
  run_child sleep "$seconds" || :
  exit_if_stopped
  beat
}

# wait_for_machine KIND: FOUND says what is wrong. What is no flight ends.
wait_for_machine() {
  [[ -n ${FLIGHT:-} ]] || die "$FOUND" 'fix that, then run this command again'
  rm -rf "$RUN_DIR"
  moment
  put "$FLIGHT/machine" "$1 $MOMENT $FOUND"
  printf 'wait\n'
  exit 0
}
