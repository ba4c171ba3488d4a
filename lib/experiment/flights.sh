# Flights: experiments in the air, a folder of facts each, runs/<tag>/flights/<id>/. Sourced, after run/current_run.sh.
# shellcheck shell=bash

# flights: sets FLIGHTS, the ids of those that there are, the oldest first.
flights() {
  local path found=()
  for path in "$RUN"/flights/f*; do
    path=${path##*/f}
    [[ ! $path =~ ^[1-9][0-9]*$ ]] || found[path]=f$path # an array is in the order of its indices
  done
  FLIGHTS=("${found[@]}")
}

# hold_flights, let_go: numbers, and flights that are half made, are one process's at a time: the loop's, or that of bin/experiment --detach.
hold_flights() {
  [[ -d $RUN/flights ]] || mkdir -p "$RUN/flights"
  exec {HELD}<>"$RUN/flights/lock"
  lock "$HELD" 60 || die "another process of run '$TAG' holds '$RUN/flights/lock'" 'wait a minute; then the same again'
}
let_go() { exec {HELD}>&-; }

new_flight() {
  hold_flights
  make_flight ''
  let_go
}

# may_fly ID: whether it can be tried now: before the baseline, which is a flight too, no change of the tree can.
may_fly() { has_baseline || [[ ! -e $RUN/flights/$1/edit ]]; }

# make_flight EDIT: ID is that of a new one, which no flight of this run has had before; with the folder EDIT of a change of the tree, unless that is empty.
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
  mv "$new" "$RUN/flights/$ID" # whole, or not there
}

# hear_of_flights: those that were left meanwhile (bin/experiment --detach) wait, too.
hear_of_flights() {
  local id
  flights
  for id in "${FLIGHTS[@]}"; do
    [[ " ${FLYING[*]} ${WAITING[*]} " == *" $id "* ]] || WAITING+=("$id")
  done
}

# has_edit_waiting: whether a change of the tree waits, for which no proposer is to be asked.
has_edit_waiting() {
  local id
  for id in "${WAITING[@]}"; do [[ ! -e $RUN/flights/$id/edit ]] || return 0; done
  return 1
}

# drop_litter: what killed dispatchers have left beside the folders; whether proposers of an earlier loop were unconfined; what is known of
# trainings of long ago; and which slots were out, for only a loop looks at them again.
drop_litter() {
  hold_flights
  rm -rf "$RUN"/flights/*.{new,old} "$RUN"/slots/*.out "$RUN/loose"
  let_go
  [[ ! -e $RUN/flights/ended ]] || { tail -n 1000 "$RUN/flights/ended" >"$RUN/flights/ended.new" && mv -f "$RUN/flights/ended.new" "$RUN/flights/ended"; }
  [[ ! -e $RUN/slots/uses ]] || { tail -n 1000 "$RUN/slots/uses" >"$RUN/slots/uses.new" && mv -f "$RUN/slots/uses.new" "$RUN/slots/uses"; }
}

# end_flight ID: all processes that work on it: its dispatcher was killed, or hangs.
end_flight() { end_tagged "FLIGHT=$RUN/flights/$1" || die "processes of flight '$1' do not end" 'see them with ps, and end them yourself'; }
