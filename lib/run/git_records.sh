# What a run has on record, in git, too: refs/experiments/_records/<tag>, a chain of commits, the first with the manifest, then one for
# each experiment, whose message ends in its line of experiments.jsonl. So `rm -rf runs` loses no result (bin/mend). No tag begins
# with a `_`. Sourced, after current_run.sh.
# shellcheck shell=bash

readonly RECORDS=refs/experiments/_records

# keep_record COMMIT MESSAGE_FILE: one record more, with the files of COMMIT. The same one twice does no harm. Where somebody has deleted
# the chain, it is made again.
keep_record() {
  local last record
  last=$(git rev-parse --quiet --verify "$RECORDS/$TAG") && git cat-file -e "$last^{tree}" 2>/dev/null || last=$(records_again "$1")
  record=$(git "${DURABLY[@]}" commit-tree "$1^{tree}" -p "$last" -F "$2")
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
}

# note_numbers COMMIT FILE: the numbers of a keep, as trailers, are what `git log --notes=experiments/<tag>` shows below its message. One ref a
# run: two loops would lose each other's.
note_numbers() {
  git "${DURABLY[@]}" notes --ref="experiments/$TAG" add --force --file="$2" "$1" 2>/dev/null && return
  git update-ref -d "refs/notes/experiments/$TAG" # somebody has deleted objects of it: they are words, not records
  git "${DURABLY[@]}" notes --ref="experiments/$TAG" add --force --file="$2" "$1" 2>/dev/null || :
}

# records_again COMMIT: prints the last commit of a new chain, with what experiments.jsonl has of others than COMMIT.
records_again() {
  local record line
  record=$(begin_records "$1")
  while IFS= read -r line; do
    [[ $line != *"\"commit\": \"$1\""* ]] || continue
    record=$(printf 'recorded again\n\n%s\n' "$line" | git commit-tree "$record^{tree}" -p "$record")
  done < <(cat "$RUN/experiments.jsonl" 2>/dev/null)
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
  printf '%s' "$record"
}

# begin_records COMMIT: prints the first commit of the chain, which has the manifest; it is on the ref then. With the files of the start,
# or, where that is gone, of COMMIT.
begin_records() {
  local record files
  files=$(git rev-parse --quiet --verify "$(<"$RUN/start")^{tree}") || files=$(git rev-parse "$1^{tree}")
  record=$({ printf 'run %s\n\n' "$TAG" && tr -d '\n' <"$RUN/manifest.json"; } | git "${DURABLY[@]}" commit-tree "$files")
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
  printf '%s' "$record"
}

# has_records TAG: whether git has any of that run.
has_records() { git rev-parse --quiet --verify "$RECORDS/$1" >/dev/null; }

# records TAG: prints them, the oldest first, a JSON object a line.
records() { git log --first-parent --reverse --format=%B "$RECORDS/$1" 2>/dev/null | grep '^{' || :; }
