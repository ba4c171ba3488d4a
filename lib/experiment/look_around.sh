# What the scheduler looks at each minute: flights that hang, and slots that are out. Sourced by scheduler.sh.
# shellcheck shell=bash

readonly SLACK=5 # minutes more than a step may take, until a flight that is silent hangs

LOOK_AT=0                     # seconds since the epoch
declare -A LOOKING=()         # the slot that is out, by the pid of the look at it
declare -A BEATS=() SILENT=() # the last beat of a flight, and looks since, by its id

# look_around: each minute: a flight that hangs is ended, and goes on; a slot whose GPU is fit again is used again.
look_around() {
  local pid id slot
  now
  ((NOW >= LOOK_AT)) || return 0
  LOOK_AT=$((NOW + MINUTE))
  for pid in "${!FLYING[@]}"; do
    id=${FLYING[$pid]}
    ! hangs "$id" || end_hanging "$id"
  done
  for pid in "${!LOOKING[@]}"; do
    kill -0 "$pid" 2>/dev/null || { end_of "$pid" && unset "LOOKING[$pid]"; } || unset "LOOKING[$pid]"
  done
  for slot in "$RUN"/slots/*.out; do
    [[ -e $slot && " ${LOOKING[*]} " != *" $slot "* ]] || continue
    start_child look_at_slot "$slot"
    LOOKING[$STARTED]=$slot
  done
}

# hangs ID: no sign of life for longer than any step may take, by the clock, and by looks: a laptop that was asleep has not looked.
hangs() {
  local beat longest=$((RUN_TIMEOUT > AGENT_TIMEOUT ? RUN_TIMEOUT : AGENT_TIMEOUT))
  beat=$(changed_at "$RUN/flights/$1/alive" 2>/dev/null) || return 1
  [[ ${BEATS[$1]:-} == "$beat" ]] || SILENT[$1]=0
  BEATS[$1]=$beat
  SILENT[$1]=$((SILENT[$1] + 1))
  longest=$((longest + SLACK * MINUTE))
  ((SILENT[$1] * MINUTE > longest && NOW - beat > longest))
}

end_hanging() {
  trouble loop "flight '$1' hangs: it is ended, and goes on"
  end_flight "$1"
}

# look_at_slot FILE: of a slot that is out, runs/<tag>/slots/<k>.out: it is used again when its GPU is fit.
look_at_slot() {
  local slot=${1##*/}
  slot=${slot%.out}
  CUDA_VISIBLE_DEVICES=$(gpus_of "$slot")
  export CUDA_VISIBLE_DEVICES
  fault gpu
  [[ -n $FOUND ]] || fault gpu-memory
  [[ -z $FOUND ]] || return 0
  rm -f "$1"
  tell "slot $slot is fit again"
}
