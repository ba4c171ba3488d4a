# The ends of flights: what follows from the exit status of each dispatcher. Sourced by scheduler.sh; uses its counts.
# shellcheck shell=bash disable=SC2034 # used there

# land_those_that_ended: handles dispatchers that ended, including killed ones, which could not report it.
land_those_that_ended() {
  local pid
  for pid in "${!FLYING[@]}"; do
    kill -0 "$pid" 2>/dev/null || land "$pid"
  done
}

# land PID: waits for the end of a dispatcher.
land() {
  local id=${FLYING[$1]} status=0
  unset "FLYING[$1]"
  BUDGET_AT=0
  end_of "$1" || status=$?
  landed "$id" "$status"
  [[ ! -e $RUN/flights/$id ]] || return 0
  # There may be a hundred thousand flights.
  unset "PROPOSERS_OF[$id]" "KILLED[$id]" "HOPELESS[$id]" "BEATS[$id]" "SILENT[$id]" "SINCE[$id]"
}

# landed ID STATUS: acts on the exit status of a dispatcher.
landed() {
  local kind since
  case $2 in
    0 | 4)
      REPEATED=0 FIT_WAIT_S=$MINUTE GIVEN_UP=0
      over machine loop restarts
      (($2 == 4)) || ADDED=$((ADDED + 1))
      hear_of_proposals
      ;;
    1) proposer_failed "$1" ;;
    5 | 6) ;; # dropped: another one takes its place; or it rests, for no loop is wanted any more
    7) REPEATED=$((REPEATED + 1)) ;;
    9 | 10)
      ADDED=$(($(rows) - ROWS))
      GIVEN_UP=$((GIVEN_UP + 1))
      ((GIVEN_UP < MOST_GIVEN_UP)) || rest_a_while
      ;;
    3)
      read -r kind since FOUND <"$RUN/flights/$1/machine"
      until_fit "$kind" "$since"
      WAITING=("$1" "${WAITING[@]}")
      ;;
    *) broke_off "$1" "$2" ;;
  esac
}

# broke_off ID STATUS: a step failed, a process was killed, or something of ours is broken. The flight may continue.
broke_off() {
  fault disk # a full disk may have ended the step
  exit_if_stopped
  if [[ -n $FOUND ]]; then
    moment
    until_fit disk "$MOMENT"
    rm -f "$RUN/flights/$1/failed" # it was not the step
  elif (($2 == 8)); then
    is_core_alive || new_core
  elif (($2 < 128)); then
    mend_lost || exit 2
  elif ((${KILLED[$1]:-0} >= MOST_KILLS)); then
    HOPELESS[$1]="its processes were killed $((MOST_KILLS + 1)) times"
  else
    KILLED[$1]=$((${KILLED[$1]:-0} + 1))
    tell "experiment '$1' was killed; continuing it"
  fi
  end_flight "$1"
  if [[ -e $RUN/flights/$1 ]]; then
    WAITING=("$1" "${WAITING[@]}")
  else
    ADDED=$(($(rows) - ROWS)) # it was killed when it was over
  fi
}

# land_all: ends everything that the loop started. The flights rest until the next loop.
land_all() {
  local pid
  for pid in "${!FLYING[@]}" "${!LOOKING[@]}"; do
    kill -TERM "$pid" 2>/dev/null || :
  done
  for pid in "${!FLYING[@]}" "${!LOOKING[@]}"; do
    end_of "$pid" || :
  done
}
