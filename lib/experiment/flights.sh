# Flights: experiments in flight. Each is a folder of facts, runs/<tag>/flights/<id>/. Sourced, after
# run/current_run.sh.
# shellcheck shell=bash

# flights: sets FLIGHTS to the ids, oldest first.
flights() {
  local path found=()
  for path in "$RUN"/flights/f*; do
    path=${path##*/f}
    [[ ! $path =~ ^[1-9][0-9]*$ ]] || found[path]=f$path # bash sorts an array by index
  done
  FLIGHTS=("${found[@]}")
}

# hold_flights, let_go: lock and unlock the creation of flights, between the loop and bin/experiment --detach.
hold_flights() {
  [[ -d $RUN/flights ]] || mkdir -p "$RUN/flights"
  exec {HELD}<>"$RUN/flights/lock"
  lock "$HELD" 60 ||
    die "another process is starting an experiment of run '$TAG', and does not finish" \
      'see which loop runs: make status'
}
let_go() { exec {HELD}>&-; }

new_flight() {
  hold_flights
  make_flight ''
  let_go
}

# may_fly ID: whether it can be tried now. A change of the tree has to wait for the baseline.
may_fly() { has_baseline || [[ ! -e $RUN/flights/$1/edit ]]; }

# make_flight EDIT: creates a flight with a new ID, and moves the folder EDIT of a change of the tree into it, if EDIT
# is not empty.
make_flight() {
  local last=0 new
  ! read -r last 2>/dev/null <"$RUN/flights/last" || [[ $last =~ ^[0-9]+$ ]] || last=0
  flights
  ((${#FLIGHTS[@]} == 0)) || { new=${FLIGHTS[-1]#f} && last=$((new > last ? new : last)); }
  ID=f$((last + 1))
  put "$RUN/flights/last" $((last + 1))
  boot_id
  new=$RUN/flights/$ID.new
  [[ ! -e $new ]] || rm -rf "$new"
  mkdir "$new"
  note "$new/done" 'attempt 1'
  note "$new/boot" "$BOOT_ID"
  [[ -z $1 ]] || mv -T "$1" "$new/edit"
  mv "$new" "$RUN/flights/$ID" # by rename: never a half-made flight
}

# hear_of_flights: adds flights that bin/experiment --detach has left meanwhile.
hear_of_flights() {
  local id
  flights
  for id in "${FLIGHTS[@]}"; do
    [[ " ${FLYING[*]} ${WAITING[*]} " == *" $id "* ]] || WAITING+=("$id")
  done
}

# has_edit_waiting: whether a change of the tree waits, which needs no proposer.
has_edit_waiting() {
  local id
  for id in "${WAITING[@]}"; do [[ ! -e $RUN/flights/$id/edit ]] || return 0; done
  return 1
}

# drop_litter: removes the leftovers of killed dispatchers, the mark of unconfined proposers, old lines of the records,
# and the marks of slots that were out, since only a loop looks at these again.
drop_litter() {
  hold_flights
  rm -rf "$RUN"/flights/*.{new,old} "$RUN"/slots/*.out "$RUN/loose"
  let_go
  [[ ! -e $RUN/flights/ended ]] || { tail -n 1000 "$RUN/flights/ended" >"$RUN/flights/ended.new" && mv -f "$RUN/flights/ended.new" "$RUN/flights/ended"; }
  [[ ! -e $RUN/slots/uses ]] || { tail -n 1000 "$RUN/slots/uses" >"$RUN/slots/uses.new" && mv -f "$RUN/slots/uses.new" "$RUN/slots/uses"; }
}

# end_flight ID: ends all processes of a flight whose dispatcher was killed or hangs.
end_flight() { end_tagged "FLIGHT=$RUN/flights/$1" ||
  die "cannot end the processes of experiment '$1'" "find them with ps and end them: ps -fu $EUID"; }
