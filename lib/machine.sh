# Whether it is the machine that is at fault, not the experiment. Sourced.
# shellcheck shell=bash

readonly LEAST_MB=100     # free; a run writes its log, and what it compiles
readonly LEAST_INODES=100 # of a file system that counts them
readonly LOOK_S=60        # seconds for one look: a cold disk takes half of it to import torch, a broken driver for ever

# fault KIND: what is wrong with that part of the machine, in one line; nothing, where it is fit. A KIND that nobody knows is.
fault() {
  case $1 in
    disk) fault_of_disk ;;
    gpu) fault_of_gpu ;;
    gpu-memory) fault_of_gpu_memory ;;
    data) fault_of_data ;;
    environment) fault_of_environment ;;
    *) ;;
  esac
}

fault_of_disk() {
  local free inodes free_inodes target
  while read -r free inodes free_inodes target; do
    if ((free < LEAST_MB)); then
      printf "the disk is full: %s MB are free on '%s'\n" "$free" "$target"
    elif [[ $inodes =~ ^[1-9] ]] && ((free_inodes < LEAST_INODES)); then
      printf "the disk is full: it has no room for more files: '%s'\n" "$target"
    fi
  done < <(df --block-size=1M --output=avail,itotal,iavail,target -- "$RUN" "${TMPDIR:-/tmp}" | tail -n +2 | sort -u) | head -n 1
  { : >"$RUN/alive"; } 2>/dev/null || printf "nothing can be written in '%s'\n" "$RUN"
}

# look COMMAND...: what it says last, where it fails.
look() {
  local said
  said=$(timeout --kill-after=2 "$LOOK_S" "$@" </dev/null 2>&1) || printf '%s' "${said##*$'\n'}"
}

fault_of_gpu() {
  local said
  said=$(look "$VENV/bin/python" -c 'import torch; torch.zeros(1, device="cuda")')
  [[ -z $said ]] || printf 'there is no GPU to work with: %s\n' "$said"
}

# What others hold of its memory: our own run has ended.
fault_of_gpu_memory() {
  local others
  others=$(timeout --kill-after=2 10 nvidia-smi --query-compute-apps=pid,used_memory,process_name --format=csv,noheader </dev/null 2>/dev/null) || return 0
  [[ -z $others ]] || printf "the GPU is held by another process: '%s'\n" "${others%%$'\n'*}"
}

fault_of_data() {
  local status=0
  uv run --no-sync prepare.py --check </dev/null >/dev/null 2>&1 || status=$?
  ((status != 3)) || printf "the data of profile '%s' is not there\n" "$PROFILE"
}

fault_of_environment() {
  local said=''
  [[ -x $LAB ]] || said="'$LAB' is gone" # uv makes an empty one where it finds none
  [[ -n $said ]] || ! grep -q '"torch' "$ROOT/pyproject.toml" || said=$(look uv run --no-sync python -c 'import torch, numpy')
  [[ -z $said ]] || printf "uv, or the environment '%s', is broken: %s\n" "$VENV" "$said"
}
