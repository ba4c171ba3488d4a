# Slots: places for one training each. A slot is a lock file, which dies with its holder, so no state of a scheduler has to be
# mended after a kill; a checkout (lib/experiment/checkout.sh); and its share of the GPUs. Sourced, after child/run_child.sh and
# python_core.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/places.sh"

# visible_gpus: sets GPUS, as CUDA_VISIBLE_DEVICES names them, separated by commas: by index, or by UUID; of a GPU that is cut into
# parts (MIG), the parts: it cannot be used as a whole.
visible_gpus() {
  if [[ -n ${CUDA_VISIBLE_DEVICES+set} ]]; then
    GPUS=${CUDA_VISIBLE_DEVICES// /}
    [[ $GPUS != -1 ]] || GPUS=
    return
  fi
  capture "${LIMITED[@]}" 10 nvidia-smi -L || OUTPUT= # a driver that is ill answers after minutes, or never
  exit_if_stopped
  GPUS=$(awk '
    /^GPU [0-9]+:/ { n++; name[n] = $2; sub(":", "", name[n]); next }
    match($0, /MIG-[^)]+/) { part = substr($0, RSTART, RLENGTH); parts[n] = parts[n] (parts[n] == "" ? "" : ",") part }
    END { for (i = 1; i <= n; i++) printf "%s%s", (i > 1 ? "," : ""), (parts[i] == "" ? name[i] : parts[i]) }' <<<"$OUTPUT")
}

# set_slots: exports GPUS, the visible ones, and SLOTS, where nobody has set it: so many as have GPUS_PER_SLOT each, at least 1.
set_slots() {
  local gpus
  visible_gpus
  IFS=, read -ra gpus <<<"$GPUS"
  [[ -n ${SLOTS:-} ]] || SLOTS=$((${#gpus[@]} / GPUS_PER_SLOT))
  ((SLOTS > 0)) || SLOTS=1
  export GPUS SLOTS
}

# set_drafts: exports DRAFTS and PROPOSERS, where nobody has set them. The catalog thinks for a moment only: what it knew when an
# earlier training began is not worth that.
set_drafts() {
  local places
  [[ -n ${DRAFTS:-} ]] || { [[ $AGENT_PATH == */proposers/catalog ]] && DRAFTS=0; } || DRAFTS=1
  places=$((SLOTS + DRAFTS))
  [[ -n ${PROPOSERS:-} ]] || PROPOSERS=$((places < 4 ? places : 4))
  export DRAFTS PROPOSERS
}

# gpus_of SLOT: its share of GPUS; where there are more slots than shares, some have the same. Nothing where there are none.
gpus_of() {
  local gpus shares first
  [[ -n ${GPUS:-} ]] || return 0
  IFS=, read -ra gpus <<<"$GPUS"
  shares=$((${#gpus[@]} / GPUS_PER_SLOT))
  ((shares > 0)) || shares=1
  first=$(($1 % shares * GPUS_PER_SLOT))
  (IFS=, && printf '%s' "${gpus[*]:first:GPUS_PER_SLOT}")
}

# take_slot: SLOT is the number of a free one that is fit, which is ours until free_slot, or until this process and all that it has
# started have ended.
take_slot() {
  take_place "$RUN/slots" "$SLOTS" still_wanted
  SLOT=$PLACE
}

# still_wanted: for who waits for a slot: a loop that is not wanted any more ends after those that train.
still_wanted() {
  if [[ -n ${LAB_LOOP:-} && ! -e $RUN/wanted ]]; then
    printf 'rest\n'
    exit
  fi
}

# shellcheck disable=SC2034,SC2329 # used where this is sourced
free_slot() {
  exec 8>&-
  SLOT=
}

# take_out SLOT WHY: until its GPU is fit again (bin/loop looks). Fails for the last one: then the whole run waits for the machine.
take_out() {
  local other others=0
  for ((other = 0; other < SLOTS; other++)); do
    ((other == $1)) || [[ -e $RUN/slots/$other.out ]] || others=$((others + 1))
  done
  ((others > 0)) || return 1
  put "$RUN/slots/$1.out" "$2"
}
