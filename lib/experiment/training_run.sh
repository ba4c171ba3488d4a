# One training run. Sourced, after child/run_child.sh, run/current_run.sh, run/tree.sh and python_core.sh.
# shellcheck shell=bash

[[ -n ${OF_SESSION:-} ]] || source "$TOOLKIT/lib/run/caller.sh"
source "$TOOLKIT/lib/experiment/slots.sh"
source "$TOOLKIT/lib/experiment/checkout.sh"
source "$TOOLKIT/lib/experiment/confinement.sh"
source "$TOOLKIT/lib/experiment/by_engine.sh"

# train_all [RUN_DIR COMMIT SEED]...: makes these training runs, at the same time if slots are free.
train_all() {
  local pids=() pid status=0
  (($# != 3)) || { train "$@" && return; }
  while (($#)); do
    start_child "$BASH" "$TOOLKIT/lib/experiment/train" "$1" "$2" "$3"
    pids+=("$STARTED")
    shift 3
  done
  for pid in "${pids[@]}"; do
    end_of "$pid" || status=$?
  done
  exit_if_stopped
  ((status == 0)) || exit 2 # it has said why
}

# train RUN_DIR COMMIT SEED: trains the code of COMMIT in a slot, by the engine. RUN_DIR is new, unless it has a file
# under_way: then an earlier loop started the run, and this one waits for it. RUN_DIR/rc is the status. RUN_DIR/changed
# names forbidden changes, which make the run worthless. RUN_DIR/looked is written last. The output goes to
# RUN_DIR/run.log only.
train() {
  local RUN_DIR=$1 CHECKOUT SUBMITTED=0 LOCKED=
  beat
  if [[ -e $RUN_DIR/under_way ]]; then
    go_on_with_run
  else
    mkdir -p "$RUN_DIR/record"
    [[ -n ${SLOT:-} ]] || take_slot
    start_run "$2" "$3"
  fi
  until [[ -e $RUN_DIR/rc ]]; do
    run_has_no_end
    start_run "$2" "$3"
  done
  [[ ! -d $RUN_DIR/scratch ]] || rm -rf "$RUN_DIR/scratch" # with which it may have filled the disk
  [[ ${LAB_HOLDOUT:-no} != yes ]] || evaluate_on_holdout
  [[ ${LAB_EVALUATOR:-no} != yes ]] || clear_handover
  append_run_log
  core look_after "$RUN_DIR" changed
  [[ -z $LOCKED ]] || printf '%s\n' "$LOCKED" >>"$RUN_DIR/changed"
  [[ ! -e $RUN_DIR/under_way ]] || look_at_code "$2" >>"$RUN_DIR/changed"
  keep_artifacts
  printf '%s\t%s\t%s\t%s\n' "$SLOT" "$(<"$RUN_DIR/devices")" "$(<"$RUN_DIR/started")" "$(<"$RUN_DIR/ended")" >>"$RUN/slots/uses"
  : >"$RUN_DIR/looked"
  free_slot
}

# start_run COMMIT SEED: starts the run and waits for it. It may leave no rc.
start_run() {
  check_out "$1"
  [[ -z ${RUN_LOG:-} ]] || rm -f "$CHECKOUT/$RUN_LOG" # what the commit has there is of no run
  hold_code "$1"
  write_order "$2"
  core look_before "$RUN_DIR"
  SUBMITTED=$((SUBMITTED + 1))
  run_engine
  [[ ${LAB_CONFINED:-no} == bubblewrap ]] || LOCKED=$(restore_access)
  exit_if_stopped
}

# write_order SEED: writes the RUN_DIR that the engine reads.
write_order() {
  local gpus where=
  gpus=$(gpus_of "$SLOT")
  ! is_far || where=far
  note "$RUN_DIR/slot" "$SLOT"
  [[ -z $where ]] || put "$RUN/slots/$SLOT.job" "$RUN_DIR"
  name_engine "$RUN_DIR"
  note "$RUN_DIR/devices" "$gpus"
  command_of_run "${RUN_COMMAND:-$OWN_COMMAND}" >"$RUN_DIR/cmd"
  printf '%s' "$CHECKOUT" >"$RUN_DIR/cwd"
  printf '%s' "$RUN_TIMEOUT" >"$RUN_DIR/limit_s"
  (umask 077 && environment_of_training "$where" >"$RUN_DIR/env")
  printf '%s\n' "PROFILE=$PROFILE" "TIME_BUDGET=$TIME_BUDGET" "SEED=$1" "AUTORESEARCH_CACHE=$AUTORESEARCH_CACHE" \
    ${gpus:+"CUDA_VISIBLE_DEVICES=$gpus"} >>"$RUN_DIR/env"
  is_own_command || printf '%s\n' "PATH=$VENV/bin:$PATH" UV_NO_SYNC=1 >>"$RUN_DIR/env"
  [[ ${LAB_EVALUATOR:-no} != yes ]] || order_evaluator
  [[ ${LAB_CONFINED:-no} == no ]] || confine
  : >"$RUN_DIR/run.log"
  ln -sfn "${RUN_DIR#"$RUN/"}/run.log" "$RUN/run.log"
}

readonly OWN_COMMAND='uv run train.py'

is_own_command() { [[ ${RUN_COMMAND:-$OWN_COMMAND} == "$OWN_COMMAND" ]]; }

# command_of_run COMMAND: prints the command for the runner. A person's command runs as written, with the programs of
# the environment first on PATH.
command_of_run() { if is_own_command; then printf 'exec uv run --no-sync train.py'; else printf '%s' "$1"; fi; }

# hold_code COMMIT: lists in RUN_DIR/held the code that a run must not change, if it is more than train.py and
# prepare.py.
hold_code() {
  if is_one_file && is_own_command; then return; fi
  editable_files "$1" '*.py' | tr '\0' '\n' >"$RUN_DIR/held"
}

# append_run_log: appends the file RUN_LOG, or its end if it is long, to the output of the run.
append_run_log() {
  local file=$CHECKOUT/${RUN_LOG:-}
  [[ -n ${RUN_LOG:-} && -f $file && ! -L $file ]] || return 0
  { printf '\n' && tail -c 32M -- "$file"; } >>"$RUN_DIR/run.log"
}

# order_evaluator: orders the helper that measures the model, with a copy of prepare.py that the run cannot reach. It
# reads handover/ (the graph and weights from evaluate_bpb), answers in reply/ and writes record/.
order_evaluator() {
  mkdir -p "$RUN_DIR/evaluator" "$RUN_DIR/handover" "$RUN_DIR/reply"
  cp "$CHECKOUT/prepare.py" "$RUN_DIR/evaluator/prepare.py"
  printf 'exec %q -I -X utf8 %q --evaluate %q' "$LAB_PYTHON" "$RUN_DIR/evaluator/prepare.py" "$RUN_DIR" >"$RUN_DIR/beside"
  printf '%s\n' "LAB_EVALUATION=$RUN_DIR" >>"$RUN_DIR/env"
  [[ ${LAB_CONFINED:-no} == no ]] || confine_evaluator
}

# evaluate_on_holdout: measures the handover on the holdout, for bin/audit, on the compute host. Writes
# record/holdout.json if there is a holdout.
evaluate_on_holdout() {
  local apart=$RUN_DIR/holdout
  [[ -e $RUN_DIR/record/evaluation.json && -e $RUN_DIR/handover/graph.json ]] || return 0
  mkdir -p "$apart"
  printf 'exec %q -I -X utf8 %q --evaluate %q --holdout' "$LAB_PYTHON" "$RUN_DIR/evaluator/prepare.py" "$RUN_DIR" >"$apart/cmd"
  cp "$RUN_DIR"/{cwd,limit_s,env} "$apart"
  [[ ! -e $RUN_DIR/confine-beside ]] || cp "$RUN_DIR/confine-beside" "$apart/confine"
  run_child "$ENGINE_PATH" "$apart" >/dev/null || :
  exit_if_stopped
}

# clear_handover: deletes the graph and weights, which may be large, but keeps the files that ARTIFACTS names.
clear_handover() {
  local CHECKOUT=$RUN_DIR/handover
  keep_artifacts
  rm -rf "$RUN_DIR/handover"
}

# keep_artifacts: moves the files that ARTIFACTS names out of the checkout, before the next run uses it.
keep_artifacts() {
  local patterns pattern file
  read -ra patterns <<<"${ARTIFACTS:-}"
  for pattern in "${patterns[@]}"; do
    while IFS= read -r file; do
      [[ -f $CHECKOUT/$file && ! -L $CHECKOUT/$file ]] || continue
      mkdir -p "$RUN_DIR/artifacts"
      mv -f -- "$CHECKOUT/$file" "$RUN_DIR/artifacts/"
    done < <(cd "$CHECKOUT" && compgen -G "$pattern")
  done
}
