# Chooses the flights to run: first those of an earlier loop, then new ones, as many as there are slots. A kill leaves
# no state to repair, because a flight is its folder and a slot is its lock. Sourced by bin/loop, after
# run/preflight.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/look_around.sh"
source "$TOOLKIT/lib/experiment/until_fit.sh"
source "$TOOLKIT/lib/experiment/proposer_failed.sh"
source "$TOOLKIT/lib/experiment/landings.sh"
source "$TOOLKIT/lib/experiment/candidates.sh"
source "$TOOLKIT/lib/run/lost_objects.sh"
source "$TOOLKIT/lib/experiment/budget.sh"

readonly CATALOG=$TOOLKIT/lib/proposers/catalog EDITED=$TOOLKIT/lib/proposers/edited
readonly MOST_KILLS=3    # times that the dispatcher of a flight may be killed before it is given up
readonly MOST_GIVEN_UP=3 # flights in a row, from which on it is not they that are at fault
readonly MOST_REPEATED=2

# The rows of this loop (the ledger may be too long to count each time); the ids of flights of an earlier loop, or with
# a killed dispatcher; the proposer's failures in a row; the repeated proposals since the last verdict (for each
# MOST_REPEATED, one place stays empty until the next verdict).
ADDED=0 WAITING=() FAILURES=0 REPEATED=0 GIVEN_UP=0
# Whether the catalog is asked next; when to ask the proposer again; when it failed last.
IS_FALL_BACK=no ASK_AT=0 FAILED_AT=0
declare -A FLYING=()                 # the id of the flight, by the pid of its dispatcher
declare -A PROPOSERS_OF=() KILLED=() # who proposes, and how often its dispatcher was killed, by the id
declare -A HOPELESS=()               # why a flight is given up, by the id

# fly ROWS: runs flights until the wanted number of rows exists, or the loop is stopped. ROWS: the number at the start.
fly() {
  local ended
  ROWS=$1 WAIT_S=$PROPOSAL_WAIT LOOP_AGENT=$AGENT_PATH
  rm -f "$RUN/calls/answered" # it may be from before a reboot
  moment
  FAILED_AT=$MOMENT
  exec 3<> <(:) # a pipe in which a dispatcher that ends says its pid
  flights
  WAITING=("${FLIGHTS[@]}")
  while :; do
    beat
    hear_of_flights
    look_at_budget
    while has_place && next_flight; do
      # All that works on it is known by FLIGHT, the dispatcher too. Of a terminal that is closed a git hears even where
      # that is ignored, and gives up its lock.
      LAB_LOOP=$LOOP_AGENT LAB_PLACES=$PLACES FLIGHT=$RUN/flights/$ID start_child apart "$BASH" "$TOOLKIT/lib/experiment/dispatch" "$ID" ${HOPELESS[$ID]:+"${HOPELESS[$ID]}"}
      FLYING[$STARTED]=$ID
    done
    ((${#FLYING[@]})) || { is_wanted && is_goal_open && ! is_over_budget; } || break
    look_around
    hear_of_proposals
    read -r -t 1 -u 3 ended || ended=nobody
    exit_if_stopped
    [[ -z ${FLYING[$ended]:-} ]] || land "$ended" # it may not be quite over yet
    land_those_that_ended
  done
}

# has_place: whether one more flight may start. There are as many as slots, DRAFTS more, and one for a change of the
# tree, but no more than missing rows. Only one flight flies before the baseline exists, and only one asks after a
# proposer has failed.
has_place() {
  local flying=${#FLYING[@]}
  is_wanted && is_goal_open || return 1
  ! is_over_budget || has_begun_waiting || return 1
  PLACES=1
  if has_baseline && { ((FAILURES == 0)) || has_candidates; }; then
    PLACES=$((SLOTS + DRAFTS - REPEATED / MOST_REPEATED))
  fi
  [[ $MARK == queue ]] || ! has_baseline || ! has_edit_waiting || PLACES=$((PLACES + 1))
  ((GOAL == 0 || GOAL - ROWS - ADDED >= PLACES)) || PLACES=$((GOAL - ROWS - ADDED))
  ((flying < PLACES || flying == 0))
}

# next_flight: sets ID to a waiting or a new flight, and AGENT_PATH to its proposer. Fails while that must not be asked.
# The queue (lib/experiment/queue.sh) starts no new flight except the baseline.
next_flight() {
  local i
  for i in "${!WAITING[@]}"; do
    ID=${WAITING[i]}
    { may_fly "$ID" && { ! is_over_budget || is_begun "$ID"; }; } || continue
    [[ $MARK != queue || -e $RUN/flights/$ID/edit ]] || ! has_baseline || continue
    unset "WAITING[i]"
    [[ ! -e $RUN/flights/$ID/edit ]] || PROPOSERS_OF[$ID]=$EDITED
    AGENT_PATH=${PROPOSERS_OF[$ID]:-$LOOP_AGENT}
    return
  done
  [[ $MARK != queue ]] || ! has_baseline || return 1
  moment
  ((MOMENT >= ASK_AT)) || has_candidates || return 1
  new_flight
  AGENT_PATH=$LOOP_AGENT
  [[ $IS_FALL_BACK == no ]] || AGENT_PATH=$CATALOG
  IS_FALL_BACK=no
  PROPOSERS_OF[$ID]=$AGENT_PATH
}

now() { printf -v NOW '%(%s)T' -1; }
