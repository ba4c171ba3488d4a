# One training run. Sourced, after child/run_child.sh, run/current_run.sh, run/tree.sh and
# tampering.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/confinement.sh"

# train RUN_DIR TRAIN_PY COMMIT SEED: one training run of TRAIN_PY, the train.py of COMMIT, by the engine, in the new RUN_DIR; its
# rc is the run's status. What defines the measurement, and the records, are looked at before and after: what the run has
# changed is kept aside, put back, and named in RUN_DIR/changed, a line each. Such a run is worth nothing. RUN_DIR/looked is written
# last. All output of the training goes to RUN_DIR/run.log, and nowhere else.
train() {
  local RUN_DIR=$1 commit=$3
  on_branch
  beat
  [[ -d $RUN_DIR/record ]] || mkdir -p "$RUN_DIR/record"
  cp "$2" train.py
  write_order "$4"
  ln -sfn "${RUN_DIR#"$RUN/"}/run.log" "$RUN/run.log"
  put_back "$commit" "${MEASUREMENT[@]}" >"$RUN_DIR/changed"
  if [[ -s $RUN_DIR/changed ]]; then # by somebody else: it would be another measurement
    : >"$RUN_DIR/looked"
    return
  fi
  look_before
  run_engine
  exit_if_stopped
  [[ ! -d $RUN_DIR/scratch ]] || rm -rf "$RUN_DIR/scratch" # with which it may have filled the disk
  [[ -e $RUN_DIR/rc ]] || die "the engine '${ENGINE_PATH##*/}' ended without a verdict on the run" "see what it said above, and '$RUN_DIR'"
  look_after "$commit" >"$RUN_DIR/changed"
  : >"$RUN_DIR/looked"
}

# write_order SEED: the RUN_DIR, as an engine wants it. The nonce proves that an evaluation record is of this run.
write_order() {
  random_id
  printf 'exec uv run --no-sync train.py' >"$RUN_DIR/cmd"
  printf '%s' "$TREE" >"$RUN_DIR/cwd"
  printf '%s' "$RUN_TIMEOUT" >"$RUN_DIR/limit_s"
  printf '%s\n' "PROFILE=$PROFILE" "TIME_BUDGET=$TIME_BUDGET" "SEED=$1" "AUTORESEARCH_CACHE=$AUTORESEARCH_CACHE" \
    "LAB_RECORD=$RUN_DIR/record/evaluation.json" "LAB_NONCE=$RANDOM_ID" >"$RUN_DIR/env"
  [[ ${LAB_CONFINED:-no} != yes ]] || confine
  : >"$RUN_DIR/run.log"
}

# run_engine: to its end, with a line of progress where a person looks.
run_engine() {
  local progress=
  if [[ -t 2 ]]; then
    "$TOOLKIT/lib/experiment/progress-line" "$RUN_DIR" &
    progress=$!
    disown # bash would report its end
  fi
  run_child "$ENGINE_PATH" "$RUN_DIR" >/dev/null || : # its status is in rc, or there is none
  if [[ -n $progress ]]; then
    kill "$progress" 2>/dev/null || :
    printf '\r\e[K' >&2
  fi
}
