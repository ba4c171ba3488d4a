# What the scheduler looks at each minute: flights that hang, and slots that are out. Sourced, after experiment/slots.sh.
# shellcheck shell=bash

readonly SLACK=5 # minutes more than a step may take, until a flight that is silent hangs

LOOK_AT=0                              # the moment of the next look
declare -A BEATS=() SILENT=() SINCE=() # id -> the last beat; looks since; the moment of the first
declare -A LOOKING=()                  # pid of a look at a slot that is out -> its number

# look_around: a flight that hangs is ended, and goes on; a slot whose GPU is fit again is used again.
look_around() {
  local pid id slot
  moment
  ((MOMENT >= LOOK_AT)) || return 0
  LOOK_AT=$((MOMENT + 100 * MINUTE))
  for pid in "${!FLYING[@]}"; do
    id=${FLYING[$pid]}
    ! hangs "$id" || end_hanging "$id"
  done
  for pid in "${!LOOKING[@]}"; do
    kill -0 "$pid" 2>/dev/null || { end_of "$pid" && unset "LOOKING[$pid]"; } || unset "LOOKING[$pid]"
  done
  for slot in $(slots_out); do
    [[ " ${LOOKING[*]} " != *" $slot "* ]] || continue
    start_child look_at_slot "$slot"
    LOOKING[$STARTED]=$slot
  done
}

# hangs ID: no sign of life for longer than any step may take, since the last one was seen, and by looks: a laptop that was asleep has
# not looked. Not by the time of day, which may be set.
hangs() {
  local beat longest=$((RUN_TIMEOUT > AGENT_TIMEOUT ? RUN_TIMEOUT : AGENT_TIMEOUT))
  beat=$(changed_at "$RUN/flights/$1/alive" 2>/dev/null) || return 1
  [[ ${BEATS[$1]:-} == "$beat" ]] || SILENT[$1]=0 SINCE[$1]=$MOMENT
  BEATS[$1]=$beat
  SILENT[$1]=$((SILENT[$1] + 1))
  longest=$((longest + SLACK * MINUTE))
  ((SILENT[$1] * MINUTE > longest && MOMENT - SINCE[$1] > 100 * longest))
}

end_hanging() {
  trouble loop "flight '$1' hangs: it is ended, and goes on"
  end_flight "$1"
}
