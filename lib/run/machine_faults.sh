# Whether it is the machine that is at fault, not the experiment. Sourced, after child/run_child.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/ask_prepare.sh"
source "$TOOLKIT/lib/experiment/engine.sh"

readonly LEAST_MB=100     # free; a run writes its log, and what it compiles
readonly LEAST_INODES=100 # of a file system that counts them
readonly LOOK_S=60        # seconds for one look: a cold disk takes half of it to import torch, a broken driver for ever

# fault KIND: what is wrong with that part of the machine, in one line, in FOUND; empty, where it is fit. So is a KIND that no look
# can tell (network, shared-memory, variables, load): only another run can.
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
  { : >"$RUN/alive"; } 2>/dev/null || FOUND="nothing can be written in '$RUN'"
  while read -r free inodes free_inodes target; do
    if ((free < LEAST_MB)); then
      FOUND="the disk is full: $free MB are free on '$target'"
    elif [[ $inodes =~ ^[1-9] ]] && ((free_inodes < LEAST_INODES)); then
      FOUND="the disk is full: it has no room for more files: '$target'"
    fi
  done < <(space_in "$RUN" "${TMPDIR:-/tmp}")
  [[ -z $FOUND ]] || FOUND+=$(largest_of_runs)
}

# largest_of_runs: which part of what runs have left takes most of the disk, if any takes much.
largest_of_runs() {
  local mb path
  read -r mb path < <("${LIMITED[@]}" 20 du -sm "$TREE"/runs/*/* 2>/dev/null | sort -n | tail -n 1) || return 0
  ((mb < LEAST_MB)) || printf '%s' "; of what is ours, '${path#"$TREE/"}' takes most: $mb MB"
}

# look PROBLEM COMMAND...: where it fails, that is the problem, and what it says last. It is run where training runs; where there is no
# place in a queue, nobody knows.
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

# By torch, where that is there: a script of a person's need not have it.
fault_of_gpu() {
  look 'there is no GPU to work with' "$VENV/bin/python" -c '
try:
    import torch
except ModuleNotFoundError:
    raise SystemExit
torch.zeros(1, device="cuda")'
}

# What others hold of its memory: our own run has ended, and those of other slots are no others. nvidia-smi does not look at
# CUDA_VISIBLE_DEVICES by itself; parts of a GPU (MIG) have no list of their own.
fault_of_gpu_memory() {
  local line only=()
  ! is_far || return 0 # what schedules there sees to that
  [[ ${CUDA_VISIBLE_DEVICES:-MIG} == *MIG* ]] || only=(--id="$CUDA_VISIBLE_DEVICES")
  capture "${LIMITED[@]}" 10 nvidia-smi "${only[@]}" --query-compute-apps=pid,used_memory,process_name --format=csv,noheader || return 0
  while IFS= read -r line; do
    if [[ -n $line ]] && ! has_variable "${line%%,*}" "LAB_TREE=$TREE"; then
      FOUND="the GPU is held by another process: '$line'"
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
  ((status != 3)) || FOUND="the data of profile '$PROFILE' is not there"
}

# shellcheck disable=SC2034
fault_of_environment() {
  local problem="uv, or the environment '$VENV', is broken" of=$TOOLKIT
  [[ -z $ADOPTED_BY ]] || of=$TREE
  if [[ ! -x $VENV/bin/lab ]]; then # uv makes an empty one where it finds none
    FOUND="$problem: '$VENV/bin/lab' is gone"
  elif [[ ! -e $VENV/without-torch ]] && grep -qs '"torch' "$of/pyproject.toml"; then
    look "$problem" uv run --no-sync python -c 'import torch'
  fi
}
