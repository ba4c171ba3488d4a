# The records of a run in git: refs/experiments/_records/<tag> is a chain of commits. The first holds the manifest, each
# later one an experiment, whose message ends with its line of experiments.jsonl. So `rm -rf runs` loses no result
# (bin/mend). No tag starts with `_`. Sourced, after current_run.sh.
# shellcheck shell=bash

readonly RECORDS=refs/experiments/_records

# keep_record COMMIT MESSAGE_FILE: adds a record with the files of COMMIT. Adding it twice does no harm. A deleted chain
# is made again.
keep_record() {
  local last record
  value_of last git rev-parse --quiet --verify "$RECORDS/$TAG^{commit}"
  [[ -n $last ]] && says_yes git cat-file -e "$last^{tree}" 2>/dev/null || last=$(records_again "$1")
  record=$(git "${DURABLY[@]}" commit-tree "$1^{tree}" -p "$last" -F "$2")
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
}

# note_numbers COMMIT FILE: attaches the numbers of a keep as a git note: `git log --notes=experiments/<tag>`. Each run
# has its own ref, since two loops would overwrite each other's notes.
note_numbers() {
  says_yes git "${DURABLY[@]}" notes --ref="experiments/$TAG" add --force --file="$2" "$1" 2>/dev/null && return
  git update-ref -d "refs/notes/experiments/$TAG" # a damaged notes ref; notes are no records
  git "${DURABLY[@]}" notes --ref="experiments/$TAG" add --force --file="$2" "$1" 2>/dev/null || :
}

# records_again COMMIT: makes the chain again from experiments.jsonl, without COMMIT, and prints its last commit.
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

# begin_records COMMIT: starts the chain with the manifest and the files of the start commit, or of COMMIT if that is
# gone. Prints the new commit.
begin_records() {
  local record files
  files=$(git rev-parse --quiet --verify "$(<"$RUN/start")^{tree}") || files=$(git rev-parse "$1^{tree}")
  record=$({ printf 'run %s\n\n' "$TAG" && tr -d '\n' <"$RUN/manifest.json"; } | git "${DURABLY[@]}" commit-tree "$files")
  git "${DURABLY[@]}" update-ref "$RECORDS/$TAG" "$record"
  printf '%s' "$record"
}

# has_records TAG: whether git has records of this run.
has_records() { git rev-parse --quiet --verify "$RECORDS/$1" >/dev/null; }

# records TAG: prints them, oldest first, one JSON object per line.
records() { git log --first-parent --reverse --format=%B "$RECORDS/$1" 2>/dev/null | grep '^{' || :; }
