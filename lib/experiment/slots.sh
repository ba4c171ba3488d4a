# Slots: places for one training each. A slot is a lock file, a checkout (lib/experiment/checkout.sh) and a share of the
# GPUs. The lock ends with its holder, so a kill leaves no state to repair. Sourced, after child/run_child.sh and
# python_core.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/places.sh"

# visible_gpus: sets GPUS, separated by commas, as in CUDA_VISIBLE_DEVICES: indices or UUIDs. A GPU that is divided by
# MIG counts as its parts, because it cannot be used as a whole.
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

# set_slots: exports GPUS, and SLOTS if it is not set: the number of visible GPUs divided by GPUS_PER_SLOT, at least 1.
# On other hosts the scheduler there chooses the GPUs.
set_slots() {
  local gpus
  if is_far; then GPUS=; else visible_gpus; fi
  IFS=, read -ra gpus <<<"$GPUS"
  [[ -n ${SLOTS:-} ]] || SLOTS=$((${#gpus[@]} / GPUS_PER_SLOT))
  ((SLOTS > 0)) || SLOTS=1
  export GPUS SLOTS
}

# set_drafts: exports DRAFTS and PROPOSERS if they are not set. An agent gets one draft for two slots, because trainings
# of equal length end together. The catalog proposes at once, so a draft would only know less.
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

# clear_free_slots: deletes the checkouts in which nobody trains, because leftovers of runs may fill the disk. LEFT
# names the largest leftover file, if it is large. The next run makes a new checkout.
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
  [[ -z $LEFT ]] || tell "deleted to make room on the disk: $LEFT"
}

# gpus_of SLOT: prints its share of GPUS, or nothing without GPUs. If there are more slots than shares, some slots
# share.
gpus_of() {
  local gpus shares first
  [[ -n ${GPUS:-} ]] || return 0
  IFS=, read -ra gpus <<<"$GPUS"
  shares=$((${#gpus[@]} / GPUS_PER_SLOT))
  ((shares > 0)) || shares=1
  first=$(($1 % shares * GPUS_PER_SLOT))
  (IFS=, && printf '%s' "${gpus[*]:first:GPUS_PER_SLOT}")
}

# take_slot: sets SLOT to a free, working slot. It stays ours until free_slot, or until this process and all its
# children have ended. A caller outside of a flight does not wait for runs of an earlier loop, because only the next
# loop ends them.
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

# take_this_slot: takes SLOT, which is reserved for a run of an earlier loop.
take_this_slot() {
  exec 8<>"$RUN/slots/$SLOT.lock"
  until run_child "${LOCK[@]}" 5 8; do
    beat
    exit_if_stopped
  done
}

# first_free_slot: sets SLOT to one in which nobody trains. For the holder of the tree, before it starts anything.
first_free_slot() {
  SLOT=0
  while is_reserved "$RUN/slots/$SLOT.job"; do SLOT=$((SLOT + 1)); done
}

# is_of_kind SLOT: whether the last run in it was on the kind of device KIND, because runs are compared on one kind.
# Also true if KIND is empty, if no working slot is of that kind, or if runs go to other hosts, whose device is unknown.
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

# still_wanted: checked while waiting for a slot. A stopped loop ends after the runs that train. If all slots are out,
# the flight waits for the machine.
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

# no_slot_is_fit: lets the flight wait for the machine. A caller outside of a flight ends.
no_slot_is_fit() {
  local why
  why=$(cat "$RUN/slots/0.out" 2>/dev/null) || return 0 # it is fit again
  [[ -n ${FLIGHT:-} ]] || die "$why" 'repair it, then start the loop: make loop'
  moment
  put "$FLIGHT/machine" "gpu $MOMENT $why"
  printf 'wait\n'
  exit 0
}

# take_out SLOT WHY: stops using the slot until its GPU works again. Fails if no other slot is left: then the run waits
# for the machine.
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

# slots_out: prints the numbers of the slots that are out.
slots_out() { (cd "$RUN/slots" 2>/dev/null && printf '%s\n' *.out | sed -n 's/^\([0-9]*\)\.out$/\1/p'); }

# fault_of_slot KIND SLOT: like `fault`, for the GPUs of this slot.
fault_of_slot() {
  local gpus
  gpus=$(gpus_of "$2")
  if [[ $1 == gpu* && -n $gpus ]]; then CUDA_VISIBLE_DEVICES=$gpus fault "$1"; else fault "$1"; fi
}

# look_at_slot SLOT: checks whether a slot that is out works again.
look_at_slot() {
  fault_of_slot gpu "$1"
  [[ -n $FOUND ]] || fault_of_slot gpu-memory "$1"
  [[ -z $FOUND ]] || return 0
  rm -f "$RUN/slots/$1.out"
  tell "slot $1 works again"
}
