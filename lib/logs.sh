# The logs of past training runs. Sourced.
# shellcheck shell=bash

# drop_logs: the oldest, where all take more than LOGS_MB.
drop_logs() {
  local size path total=0
  while read -r size path; do
    total=$((total + size))
    ((total <= LOGS_MB * 1000000)) || rm -f "$path"
  done < <(find "$RUN/logs" -type f -printf '%T@ %s %p\n' | sort -rn | cut -d ' ' -f 2-)
}

# keep_log: the last log stays readable as run.log; each one stays, compressed, under its commit and attempt.
keep_log() {
  local log name
  mkdir -p "$RUN/logs"
  for log in "$FLIGHT"/run.*/run.log; do
    [[ -e $log ]] || continue
    name=$(<"$FLIGHT/commit")
    name=${name:0:7}-${log#"$FLIGHT/run."}
    gzip --stdout "$log" >"$RUN/logs/${name%/run.log}.log.gz"
    mv -f "$log" "$RUN/run.log"
  done
  drop_logs
}
