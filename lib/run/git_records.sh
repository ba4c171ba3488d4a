# What a run has on record, in git, too: refs/experiments/_records/<tag>, a chain of commits, the first with the manifest, then one for
# each experiment, whose message ends in its line of experiments.jsonl. So `rm -rf runs` loses no result (bin/mend). No tag begins
# with a `_`. Sourced, after current_run.sh.
# shellcheck shell=bash

readonly RECORDS=refs/experiments/_records

# keep_record COMMIT MESSAGE_FILE: one record more, with the files of COMMIT. The same one twice does no harm.
keep_record() {
  local last record
  last=$(git rev-parse --quiet --verify "$RECORDS/$TAG") || last=$(begin_records)
  record=$(git "${DURABLY[@]}" commit-tree "$1^{tree}" -p "$last" -F "$2")
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
}

# note_numbers COMMIT FILE: the numbers of a keep, as trailers, are what `git log --notes=experiments/<tag>` shows below its message. One ref a
# run: two loops would lose each other's.
note_numbers() { git notes --ref="experiments/$TAG" add --force --file="$2" "$1" 2>/dev/null; }

# begin_records: prints the first commit of the chain, which has the manifest; it is on the ref then.
begin_records() {
  local record
  record=$({ printf 'run %s\n\n' "$TAG" && tr -d '\n' <"$RUN/manifest.json"; } | git "${DURABLY[@]}" commit-tree "$(<"$RUN/start")^{tree}")
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
  printf '%s' "$record"
}

# has_records TAG: whether git has any of that run.
has_records() { git rev-parse --quiet --verify "$RECORDS/$1" >/dev/null; }

# records TAG: prints them, the oldest first, a JSON object a line.
records() { git log --first-parent --reverse --format=%B "$RECORDS/$1" 2>/dev/null | grep '^{' || :; }
