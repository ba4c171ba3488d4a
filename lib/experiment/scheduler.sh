# Which flights are in the air: those that an earlier loop has left first, then new ones, as many as there are slots. There is no
# state to mend after a kill: a flight is its folder, a slot its lock. Sourced by bin/loop, after run/preflight.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/look_around.sh"
source "$TOOLKIT/lib/experiment/until_fit.sh"

readonly LONGEST_WAIT_S=900 # for a proposer
readonly CATALOG=$TOOLKIT/lib/proposers/catalog
readonly MOST_KILLS=3 # times that the dispatcher of a flight may be killed before that is a fault

ADDED=0                          # rows of this loop; they are not counted in the ledger each time, for there may be a hundred thousand
WAITING=()                       # ids of flights that an earlier loop has left, or whose dispatcher was killed
FAILURES=0                       # of the proposer, in a row
IS_FALL_BACK=no                  # whether the catalog is asked next
ASK_AT=0                         # seconds since the epoch: when the proposer is asked again
declare -A FLYING=()             # pid of the dispatcher -> id
declare -A PROPOSERS=() KILLED=() # id -> who proposes, and kills of its dispatcher

# fly ROWS: until the rows that are asked for are there, or no loop is wanted any more. ROWS: how many there are.
fly() {
  ROWS=$1 WAIT_S=$PROPOSAL_WAIT LOOP_AGENT=$AGENT_PATH
  exec 3<> <(:) # a pipe in which a dispatcher that ends says so
  flights
  WAITING=("${FLIGHTS[@]}")
  while :; do
    beat
    while has_place && next_flight; do
      # All that works on it is known by this variable, the dispatcher too. Of a terminal that is closed a git hears even where
      # that is ignored, and gives up its lock.
      FLIGHT=$RUN/flights/$ID start_child apart "$BASH" "$TOOLKIT/lib/experiment/dispatch" "$ID"
      FLYING[$STARTED]=$ID
    done
    ((${#FLYING[@]})) || { is_wanted && is_goal_open; } || break
    look_around
    read -r -t 1 -u 3 _ || :
    exit_if_stopped
    land_those_that_ended
  done
}

is_goal_open() { ! has_baseline || ((GOAL == 0 || ROWS + ADDED < GOAL)); }

# has_place: for one more flight: as many as there are slots, and rows that are missing. Before there is a baseline, one; and one
# asks alone, after a proposer has failed.
has_place() {
  local flying=${#FLYING[@]}
  is_wanted && is_goal_open && ((flying < SLOTS)) || return 1
  ((flying == 0)) || { has_baseline && ((FAILURES == 0 && (GOAL == 0 || ROWS + ADDED + flying < GOAL))); }
}

# next_flight: ID is one that waits, or a new one; AGENT_PATH is its proposer. Fails while that is not to be asked.
next_flight() {
  if ((${#WAITING[@]})); then
    ID=${WAITING[0]}
    WAITING=("${WAITING[@]:1}")
    AGENT_PATH=${PROPOSERS[$ID]:-$LOOP_AGENT}
    return
  fi
  now
  ((NOW >= ASK_AT)) || return 1
  new_flight
  AGENT_PATH=$LOOP_AGENT
  [[ $IS_FALL_BACK == no ]] || AGENT_PATH=$CATALOG
  IS_FALL_BACK=no
  PROPOSERS[$ID]=$AGENT_PATH
}

now() { printf -v NOW '%(%s)T' -1; }

land_those_that_ended() {
  local pid id status
  for pid in "${!FLYING[@]}"; do
    ! kill -0 "$pid" 2>/dev/null || continue
    id=${FLYING[$pid]} status=0
    unset "FLYING[$pid]"
    end_of "$pid" || status=$?
    landed "$id" "$status"
  done
}

# landed ID STATUS: what follows from how a dispatcher has ended.
landed() {
  local kind=disk
  case $2 in
    0 | 4)
      over machine loop restarts
      (($2 == 4)) || ADDED=$((ADDED + 1))
      [[ ${PROPOSERS[$1]:-} == "$CATALOG" && $LOOP_AGENT != "$CATALOG" ]] || proposer_works
      ;;
    1) proposer_failed "$1" ;;
    5) ;; # dropped: another one takes its place
    3)
      read -r kind FOUND <"$RUN/flights/$1/machine"
      until_fit "$kind" "$(changed_at "$RUN/flights/$1/machine")"
      WAITING=("$1" "${WAITING[@]}")
      ;;
    *)
      fault disk # of which a step of ours may have died
      exit_if_stopped
      if [[ -n $FOUND ]]; then
        now
        until_fit disk "$NOW"
      elif (($2 < 128 || ${KILLED[$1]:-0} >= MOST_KILLS)); then
        exit 2
      else
        KILLED[$1]=$((${KILLED[$1]:-0} + 1))
        tell "flight '$1' was killed: it goes on"
      fi
      end_flight "$1"
      [[ ! -e $RUN/flights/$1 ]] || WAITING=("$1" "${WAITING[@]}")
      ;;
  esac
}

proposer_works() {
  FAILURES=0 ASK_AT=0 WAIT_S=$PROPOSAL_WAIT
  over proposer
}

# proposer_failed ID: it is asked again, later and later; after each third time in a row the catalog proposes one.
proposer_failed() {
  if [[ ${PROPOSERS[$1]:-} != "$CATALOG" || $LOOP_AGENT == "$CATALOG" ]]; then
    FAILURES=$((FAILURES + 1))
    if ((FAILURES % 3 == 0)); then
      trouble proposer "no proposal from '${LOOP_AGENT##*/}', $FAILURES times in a row"
      IS_FALL_BACK=yes
      return
    fi
  fi
  now
  ASK_AT=$((NOW + $(until_told "$WAIT_S")))
  tell "asking the proposer again in $((ASK_AT - NOW)) s"
  WAIT_S=$((WAIT_S * 2 < LONGEST_WAIT_S ? WAIT_S * 2 : LONGEST_WAIT_S))
}

# until_told GROWN: seconds until the proposer is asked again: until the time that it has told, where that is near; else GROWN.
until_told() {
  local told
  told=$(cat "$RUN/not-before" 2>/dev/null) || told=0
  rm -f "$RUN/not-before"
  printf '%s' "$((told > NOW && told - NOW <= LONGEST_WAIT_S ? told - NOW + 1 : $1))"
}

# land_all: however the loop ends: what it has started ends with it, and rests until the next one.
land_all() {
  local pid
  for pid in "${!FLYING[@]}" "${!LOOKING[@]}"; do
    kill -TERM "$pid" 2>/dev/null || :
  done
  for pid in "${!FLYING[@]}" "${!LOOKING[@]}"; do
    end_of "$pid" || :
  done
}
