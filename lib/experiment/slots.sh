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

# set_slots: exports GPUS, the visible ones, and SLOTS, where nobody has set it: so many as have GPUS_PER_SLOT each, at least 1. Those of
# other hosts are given by what schedules there.
set_slots() {
  local gpus
  if is_far; then GPUS=; else visible_gpus; fi
  IFS=, read -ra gpus <<<"$GPUS"
  [[ -n ${SLOTS:-} ]] || SLOTS=$((${#gpus[@]} / GPUS_PER_SLOT))
  ((SLOTS > 0)) || SLOTS=1
  export GPUS SLOTS
}

# set_drafts: exports DRAFTS and PROPOSERS, where nobody has set them. An agent's: one for two slots, for trainings of one length end at one
# time. The catalog thinks for a moment only: what it knew when an earlier training began is not worth that.
set_drafts() {
  local places
  if [[ -z ${DRAFTS:-} ]]; then
    DRAFTS=$(((SLOTS + 1) / 2))
    [[ $AGENT_PATH != */proposers/catalog ]] || DRAFTS=0
  fi
  places=$((SLOTS + DRAFTS))
  [[ -n ${PROPOSERS:-} ]] || PROPOSERS=$((places < 4 ? places : 4))
  export DRAFTS PROPOSERS
}

# clear_free_slots: what runs have left in checkouts in which nobody trains: it may be what fills the disk. LEFT names the largest file of
# it, where that is large. A checkout is made anew by the next run.
clear_free_slots() {
  local slot mb path most=$LEAST_MB
  LEFT=
  for ((slot = 0; slot < SLOTS; slot++)); do
    [[ -d $RUN/slots/$slot ]] || continue
    ! is_reserved "$RUN/slots/$slot.job" || continue
    exec 8<>"$RUN/slots/$slot.lock"
    if lock 8; then
      read -r mb path < <(largest_file "$RUN/slots/$slot") || mb=0
      ((mb < most)) || { most=$mb && LEFT="'$path', $mb MB, which a run had left in its checkout"; }
      chmod -R u+rwX "$RUN/slots/$slot" 2>/dev/null || :
      rm -rf "$RUN/slots/$slot" "$RUN/slots/$slot.index"
    fi
    exec 8>&-
  done
  [[ -z $LEFT ]] || tell "to make room on the disk, it is deleted: $LEFT"
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
# What is no flight does not wait for runs of an earlier loop, which only the next loop brings to their end.
take_slot() {
  local slot count=$SLOTS KIND=
  if [[ -n ${FLIGHT:-} ]]; then
    read -r KIND 2>/dev/null <"$FLIGHT/kind" || KIND=
  else
    for ((slot = 0; slot < count; slot++)); do ! is_reserved "$RUN/slots/$slot.job" || count=$((count + 1)); done
  fi
  take_place "$RUN/slots" "$count" still_wanted
  SLOT=$PLACE
}

# take_this_slot: SLOT, which is reserved for a run of an earlier loop.
take_this_slot() {
  exec 8<>"$RUN/slots/$SLOT.lock"
  until run_child "${LOCK[@]}" 5 8; do
    beat
    exit_if_stopped
  done
}

# first_free_slot: SLOT is one in which nobody trains, for who holds the tree and has started nothing yet.
first_free_slot() {
  SLOT=0
  while is_reserved "$RUN/slots/$SLOT.job"; do SLOT=$((SLOT + 1)); done
}

# is_of_kind SLOT: whether the last run in it was on the kind of device KIND, as far as that is known: what is compared runs on like devices.
# So it is of any slot where KIND is empty, and where no slot that is in use is of that kind. On another host, who knows where it runs.
is_of_kind() {
  local slot kind is_any=no
  [[ -n $KIND && $ENGINE_PATH == */lib/child/engines/local ]] || return 0
  for ((slot = 0; slot < SLOTS; slot++)); do
    [[ ! -e $RUN/slots/$slot.out ]] && read -r kind 2>/dev/null <"$RUN/slots/$slot.kind" && [[ $kind == "$KIND" ]] || continue
    ((slot != $1)) || return 0
    is_any=yes
  done
  [[ $is_any == no ]]
}

# still_wanted: for who waits for a slot: a loop that is not wanted any more ends after those that train; where all slots are out, the
# flight waits for the machine.
still_wanted() {
  if [[ -n ${LAB_LOOP:-} && (! -e $RUN/wanted || -e $RUN/over) ]]; then
    printf 'rest\n'
    exit
  fi
  ! are_all_out || no_slot_is_fit
}

# shellcheck disable=SC2034,SC2329 # used where this is sourced
free_slot() {
  rm -f "$RUN/slots/$SLOT.job"
  exec 8>&-
  SLOT=
}

# no_slot_is_fit: the flight waits for the machine; what is none ends.
no_slot_is_fit() {
  local why
  why=$(cat "$RUN/slots/0.out" 2>/dev/null) || return 0 # it is fit again
  [[ -n ${FLIGHT:-} ]] || die "$why" 'repair it, then: make loop'
  moment
  put "$FLIGHT/machine" "gpu $MOMENT $why"
  printf 'wait\n'
  exit 0
}

# take_out SLOT WHY: it is not used until its GPU is fit again. Fails where no other is left: then the run waits for the machine.
take_out() {
  put "$RUN/slots/$1.out" "$2"
  ! are_all_out
}

are_all_out() {
  local slot
  for ((slot = 0; slot < SLOTS; slot++)); do
    [[ -e $RUN/slots/$slot.out ]] || return 1
  done
}

# slots_out: the numbers of those that are out.
slots_out() { (cd "$RUN/slots" 2>/dev/null && printf '%s\n' *.out | sed -n 's/^\([0-9]*\)\.out$/\1/p'); }

# fault_of_slot KIND SLOT: as `fault`, of the GPUs of this slot.
fault_of_slot() {
  local gpus
  gpus=$(gpus_of "$2")
  if [[ $1 == gpu* && -n $gpus ]]; then CUDA_VISIBLE_DEVICES=$gpus fault "$1"; else fault "$1"; fi
}

# look_at_slot SLOT: of one that is out: whether it is fit again.
look_at_slot() {
  fault_of_slot gpu "$1"
  [[ -n $FOUND ]] || fault_of_slot gpu-memory "$1"
  [[ -z $FOUND ]] || return 0
  rm -f "$RUN/slots/$1.out"
  tell "slot $1 is fit again"
}
