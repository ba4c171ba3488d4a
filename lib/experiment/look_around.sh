# Looks each minute for flights that hang, and for slots that are out. Sourced, after experiment/slots.sh.
# shellcheck shell=bash

readonly SLACK=5 # minutes of silence beyond the longest step, before a flight counts as hanging

LOOK_AT=0                              # the moment of the next look
declare -A BEATS=() SILENT=() SINCE=() # id -> the last beat; looks since; the moment of the first
declare -A LOOKING=()                  # pid of a look at a slot that is out -> its number

# look_around: ends and resumes a flight that hangs; uses a slot again when its GPU is fit.
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

# hangs ID: whether it has been silent for longer than any step may take, by uptime and by looks: a laptop that was
# asleep has not looked, and the time of day may be set.
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
  trouble loop "experiment '$1' hangs: ending and resuming it"
  end_flight "$1"
  unset "BEATS[$1]" # its silence counts from now on: a busy machine may take a while to resume it
}
