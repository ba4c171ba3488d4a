# Keeps the logs of past training runs, and the transcripts of past proposals. Sourced.
# shellcheck shell=bash

# drop_logs: deletes the oldest, if all together take more than LOGS_MB.
drop_logs() {
  newest_files "$RUN/logs" |
    awk -v most="$((LOGS_MB * 1000000))" '(total += $2) > most { print $3 }' |
    (cd "$RUN/logs" && xargs --no-run-if-empty rm -f --)
}

# keep_transcript FOLDER NAME: compresses the transcript of a call, at most its first 64 MB.
keep_transcript() {
  [[ -s $1/transcript ]] || return 0
  mkdir -p "$RUN/logs"
  head -c 64M "$1/transcript" | gzip --stdout >"$RUN/logs/$2.agent.gz"
}

# keep_log: leaves the last log as run.log, and a compressed copy of each under its commit and attempt.
keep_log() {
  local log name mend
  [[ -d $RUN/logs ]] || mkdir "$RUN/logs"
  read -r name <"$FLIGHT/commit"
  name=${name:0:7}
  keep_transcript "$FLIGHT" "$name"
  for mend in "$FLIGHT"/mend.*; do
    keep_transcript "$mend" "$name-${mend##*/}"
  done
  for log in "$FLIGHT"/run.*/run.log; do
    [[ -e $log ]] || continue
    log=${log%/run.log}
    gzip --stdout "$log/run.log" >"$RUN/logs/$name-${log##*/run.}.log.gz"
    [[ ! $RUN/run.log -ef $log/run.log ]] || mv -f "$log/run.log" "$RUN/run.log" # only if no other run has started since
  done
}

# keep_artifacts_of_incumbent: replaces the artifacts by those of the last run of the new incumbent.
keep_artifacts_of_incumbent() {
  local folder last=
  for folder in "$FLIGHT"/run.*/artifacts; do
    [[ ! -d $folder || $(cat "${folder%/*}/next" 2>/dev/null) == incumbent* ]] || last=$folder
  done
  [[ -n $last ]] || return 0
  rm -rf "$RUN/artifacts.old"
  [[ ! -e $RUN/artifacts ]] || mv "$RUN/artifacts" "$RUN/artifacts.old"
  mv "$last" "$RUN/artifacts"
  rm -rf "$RUN/artifacts.old"
}
