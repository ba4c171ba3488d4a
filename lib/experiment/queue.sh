# The queue: changes of the tree that wait as flights (bin/experiment --detach). A loop tries them; without one, a
# process in the background does, as long as runs/<tag>/queue exists (make stop removes it). Sourced, after
# run/current_run.sh, run/tree.sh and from_tree.sh.
# shellcheck shell=bash disable=SC2034 # used where this is sourced

# leave_edit DESCRIPTION: saves the change of the tree as a waiting flight, and sets ID. The same change is the same
# flight.
leave_edit() {
  hold_flights
  if ! has_flight; then
    write_edit "$RUN/flights/edit.new" "$1" HEAD "$LAB_AGENT"
    ! has_same_edit "$RUN/edit" || rm -rf "$RUN/edit" # of a call that was cut off
    make_flight "$RUN/flights/edit.new"
    make_durable "$RUN/flights"
  fi
  let_go
  : >"$RUN/queue"
  note "$RUN/flights/left" "$ID"
}

# has_flight: whether a flight has the change of the tree; sets ID.
has_flight() {
  flights
  for ID in "${FLIGHTS[@]}"; do
    ! has_same_edit "$RUN/flights/$ID/edit" || return 0
  done
  return 1
}

# start_queue: starts the background process, unless a verb holds the tree. It writes its exit status to queue.status
# and its output to queue.log.
start_queue() {
  ! is_held || return 0
  rm -f "$RUN/queue.status"
  detach "$TOOLKIT/bin/experiment" --queue </dev/null >"$RUN/queue.log" 2>&1
}

# fly_queue: tries all of them, as many at a time as there are slots.
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
