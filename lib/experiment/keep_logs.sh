# The logs of past training runs, and the transcripts of past proposals. Sourced.
# shellcheck shell=bash

# drop_logs: the oldest, where all take more than LOGS_MB.
drop_logs() {
  newest_files "$RUN/logs" |
    awk -v most="$((LOGS_MB * 1000000))" '(total += $2) > most { print $3 }' |
    (cd "$RUN/logs" && xargs --no-run-if-empty rm -f --)
}

# keep_transcript FOLDER NAME: all that a coding agent saw and said in a call, compressed; its beginning, where that is long.
keep_transcript() {
  [[ -s $1/transcript ]] || return 0
  mkdir -p "$RUN/logs"
  head -c 64M "$1/transcript" | gzip --stdout >"$RUN/logs/$2.agent.gz"
}

# keep_log: the last log stays readable as run.log; each one stays, compressed, under its commit and attempt, with the transcripts.
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
    [[ ! $RUN/run.log -ef $log/run.log ]] || mv -f "$log/run.log" "$RUN/run.log" # no other has begun since
  done
}

# keep_artifacts_of_incumbent: those of the last run of what is kept, in place of those of the one before.
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
