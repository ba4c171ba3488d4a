# The queue: changes of the tree that rest as flights (bin/experiment --detach), tried in the background where no loop is at work. runs/<tag>/queue
# says that they are to be, until make stop; a loop takes them, too. Sourced, after run/current_run.sh, run/tree.sh and from_tree.sh.
# shellcheck shell=bash disable=SC2034 # used where this is sourced

# leave_edit DESCRIPTION: ID is a flight at rest that has the train.py of the tree as its change. The same again is the same flight.
leave_edit() {
  hold_flights
  if ! has_flight; then
    write_edit "$RUN/flights/edit.new" "$1" train.py "$(git rev-parse HEAD)" "$LAB_AGENT"
    ! cmp -s train.py "$RUN/edit/train.py" || rm -rf "$RUN/edit" # of a call that was cut off
    make_flight "$RUN/flights/edit.new"
    make_durable "$RUN/flights"
  fi
  let_go
  : >"$RUN/queue"
  note "$RUN/flights/left" "$ID"
}

# has_flight: whether a flight has this train.py as its change; ID is that.
has_flight() {
  flights
  for ID in "${FLIGHTS[@]}"; do
    ! cmp -s train.py "$RUN/flights/$ID/edit/train.py" || return 0
  done
  return 1
}

# start_queue: unless somebody has the tree. What ends it by itself is in queue.status, and what it says in queue.log.
start_queue() {
  ! is_held || return 0
  rm -f "$RUN/queue.status"
  detach "$TOOLKIT/bin/experiment" --queue </dev/null >"$RUN/queue.log" 2>&1
}

# fly_queue: all of them, as many at a time as there are slots.
fly_queue() {
  trap '' HUP PIPE
  export DRAFTS=0 # in their order
  MARK=queue AGENT=$EDITED
  # shellcheck disable=SC2154 # of the trap
  trap 'status=$?; land_all; end_core; put "$RUN/queue.status" "$status"; exit_if_stopped' EXIT
  ready --queue
  : >"$RUN/queue"
  [[ ! -e $RUN/stop ]] || rm -f "$RUN/queue" # make stop was faster
  GOAL=0
  fly "$(rows)"
}
