# Tells a fault of the machine from one of the experiment. Sourced, after child/run_child.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/ask_prepare.sh"
source "$TOOLKIT/lib/experiment/engine.sh"

readonly LEAST_MB=100     # free, for logs and compiled code
readonly LEAST_INODES=100 # free, on a file system that counts them
readonly LOOK_S=60        # seconds for one check: a cold disk takes 30 to import torch, a broken driver never ends

# fault KIND: sets FOUND to the fault of that part of the machine, in one line, or to nothing. FOUND stays empty for
# kinds that only another run can tell: network, shared-memory, variables, load.
# shellcheck disable=SC2034 # used where this is sourced
fault() {
  FOUND=
  case $1 in
    disk) fault_of_disk ;;
    gpu) fault_of_gpu ;;
    gpu-memory) fault_of_gpu_memory ;;
    data) fault_of_data ;;
    environment) fault_of_environment ;;
    engine) look "engine '${ENGINE_PATH##*/}' does not work" "$ENGINE_PATH" --check ;;
    *) ;;
  esac
}

fault_of_disk() {
  local free inodes free_inodes target
  { : >"$RUN/alive"; } 2>/dev/null || FOUND="cannot write to '$RUN'"
  while read -r free inodes free_inodes target; do
    if ((free < LEAST_MB)); then
      FOUND="the disk is full: $free MB free on '$target'"
    elif [[ $inodes =~ ^[1-9] ]] && ((free_inodes < LEAST_INODES)); then
      FOUND="the disk is full: no inodes free on '$target'"
    fi
  done < <(space_in "$RUN" "${TMPDIR:-/tmp}")
  [[ -z $FOUND ]] || FOUND+=$(largest_of_runs)
}

# largest_of_runs: prints the largest part of runs/, if it is large.
largest_of_runs() {
  local mb path
  read -r mb path < <("${LIMITED[@]}" 20 du -sm "$TREE"/runs/*/* 2>/dev/null | sort -n | tail -n 1) || return 0
  ((mb < LEAST_MB)) || printf '%s' "; the largest part of runs/ is '${path#"$TREE/"}': $mb MB"
}

# look PROBLEM COMMAND...: if COMMAND fails, FOUND is PROBLEM with its last line of output. It runs where training runs;
# if the queue is full there, nothing is known.
look() {
  local problem=$1 status=0
  shift
  if is_far && [[ $1 != "$ENGINE_PATH" ]]; then
    through_engine "$LOOK_S" "$@" || status=$?
    problem+=" on '$HOST'"
    ((status != 125)) || return 0
  else
    capture "${LIMITED[@]}" "$LOOK_S" "$@" || status=$?
  fi
  ((status != 0)) || return 0
  last_line "$OUTPUT"
  case $status in
    124 | 137) FOUND="$problem: no answer within $LOOK_S s" ;;
    *) FOUND="$problem: ${LAST_LINE:-exit status $status}" ;;
  esac
}

# Asks torch, if it is installed: your own script may not need it.
fault_of_gpu() {
  look 'no usable GPU' "$VENV/bin/python" -c '
try:
    import torch
except ModuleNotFoundError:
    raise SystemExit
torch.zeros(1, device="cuda")'
}

# Memory that other processes hold. Runs of this tree do not count. nvidia-smi ignores CUDA_VISIBLE_DEVICES, and MIG
# devices have no list of their own.
fault_of_gpu_memory() {
  local line only=()
  ! is_far || return 0 # what schedules there sees to that
  [[ ${CUDA_VISIBLE_DEVICES:-MIG} == *MIG* ]] || only=(--id="$CUDA_VISIBLE_DEVICES")
  capture "${LIMITED[@]}" 10 nvidia-smi "${only[@]}" --query-compute-apps=pid,used_memory,process_name --format=csv,noheader || return 0
  while IFS= read -r line; do
    if [[ -n $line ]] && ! has_variable "${line%%,*}" "LAB_TREE=$TREE"; then
      FOUND="another process uses the GPU: '$line'"
      return
    fi
  done <<<"$OUTPUT"
}

fault_of_data() {
  local status=0
  knows_check "$PWD" || return 0
  if is_far; then
    through_engine "$LOOK_S" uv run --no-sync prepare.py --check || status=$?
  else
    capture uv run --no-sync prepare.py --check || status=$?
  fi
  ((status != 3)) || FOUND="the data of profile '$PROFILE' is missing"
}

# shellcheck disable=SC2034
fault_of_environment() {
  local problem="uv or the environment '$VENV' is broken" of=$TOOLKIT
  [[ -z $ADOPTED_BY ]] || of=$TREE
  if [[ ! -x $VENV/bin/lab ]]; then # uv would create an empty environment
    FOUND="$problem: no '$VENV/bin/lab'"
  elif [[ ! -e $VENV/without-torch ]] && grep -qs '"torch' "$of/pyproject.toml"; then
    look "$problem" uv run --no-sync python -c 'import torch'
  fi
}
