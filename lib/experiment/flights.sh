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

# new_flight: ID is that of a new one, which no flight of this run has had before.
new_flight() {
  local last=0 new
  [[ -d $RUN/flights ]] || mkdir -p "$RUN/flights"
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
  mv "$new" "$RUN/flights/$ID" # whole, or not there
}

# drop_litter: what killed dispatchers have left beside the folders; whether proposers of an earlier loop were unconfined; what is known of trainings of long ago; and which slots were out,
# for only a loop looks at them again.
drop_litter() {
  rm -rf "$RUN"/flights/*.{new,old} "$RUN"/slots/*.out "$RUN/loose"
  [[ ! -e $RUN/slots/uses ]] || { tail -n 1000 "$RUN/slots/uses" >"$RUN/slots/uses.new" && mv -f "$RUN/slots/uses.new" "$RUN/slots/uses"; }
}

# end_flight ID: all processes that work on it: its dispatcher was killed, or hangs.
end_flight() { end_tagged "FLIGHT=$RUN/flights/$1" || die "processes of flight '$1' do not end" 'see them with ps, and end them yourself'; }
