# What the faults of a rehearsal play with: its tree, its loop, and what must come of it. Sourced; $1 is the rehearsal's
# folder. A fault says last how it was survived, and exits 0; or what was broken: 1; or why it cannot be played here: 3.
# shellcheck shell=bash

source "${BASH_SOURCE[0]%/*}/../common.sh"

FOLDER=$(realpath -- "$1")
readonly FOLDER TREE=$FOLDER/tree
readonly RUN=$TREE/runs/rehearsal
readonly FLIGHT=$RUN/flight
readonly LIMIT_MS=10000 # for a recovery
# shellcheck disable=SC2034 # for the faults: a training that takes a second, and one that does not end, nor hear TERM
readonly SLOW='import time; print("slow", flush=True); time.sleep(1)'
# shellcheck disable=SC2034
readonly DEAF='import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); time.sleep(600)'
RANDOM=${DRAW:-1} # the same draw, the same fault
export AGENT=$ROOT/lib/rehearsal/proposer MAX_EXPERIMENTS=1 PROPOSAL_WAIT=0
export LAB_MINUTE=1 # seconds: what is waited for in a night by the minute

broken() {
  printf '%s\n' "$*"
  exit 1
}

cannot() {
  printf '%s\n' "$*"
  exit 3
}

now_ms() { date +%s%3N; }

rows() { tail -n +2 "$RUN/results.tsv" 2>/dev/null | wc -l || :; } # a torn one has no end, and is none

BEFORE=$(rows)
readonly BEFORE

# trainer PYTHON, proposer BASH: what goes wrong in every run from now on; in the next proposal.
trainer() { printf '%s\n' "$1" >"$FOLDER/home/fault.py"; }
proposer() { printf '%s\n' "$1" >"$FOLDER/home/fault.sh"; }

SIGNALS=() # options of env: which signals are heard
# start_loop: a loop of one experiment, in a process group of its own, as a terminal would start it. LOOP is its pid.
start_loop() {
  ROWS=$(rows)
  set -m
  env -C "$TREE" "${SIGNALS[@]}" bin/loop </dev/null >>"$FOLDER/loop.log" 2>&1 &
  LOOP=$!
  set +m
}

# ended STATUS...: waits for its end, with one of these.
ended() {
  local status=0
  wait "$LOOP" || status=$?
  [[ " $* " == *" $status "* ]] || broken "bin/loop ended with $status, not with $*: '$(tail -n 2 "$FOLDER/loop.log" | paste -sd' ')'"
}

# loop: one that ends well, with one row more.
loop() {
  start_loop
  one_row
}

# one_row: the loop ends well, with one row more.
one_row() {
  ended 0
  (($(rows) == ROWS + 1)) || broken "there are $(rows) rows, not $((ROWS + 1))"
}

# in_training: waits until a trainer that has printed something has done so.
in_training() {
  until [[ -s $FLIGHT/run.1/run.log ]]; do
    kill -0 "$LOOP" 2>/dev/null || broken "bin/loop ended before it trained: '$(tail -n 1 "$FOLDER/loop.log")'"
    sleep 0.02
  done
}

# moment: some part of the time that a loop of one experiment takes here.
moment() {
  local ms
  ms=$((RANDOM * $(<"$FOLDER/span") / 32768))
  sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"
}

# kill_9 PID|-GROUP: of the loop, which may have ended already.
kill_9() {
  kill -KILL -- "$1" 2>/dev/null || :
  wait "$LOOP" 2>/dev/null || :
}

# is_under_way: the training of the experiment in flight has begun since $FOLDER/again was written, or its row is there.
is_under_way() {
  local file
  for file in "$RUN/results.tsv" "$FLIGHT"/run.*/started; do
    [[ ! $file -nt $FOLDER/again ]] || return 0
  done
  return 1
}

# recover: the same command again, with nothing that goes wrong: it goes on by itself, and soon.
recover() {
  local began took
  rm -f "$FOLDER"/home/fault.*
  : >"$FOLDER/again"
  began=$(now_ms)
  start_loop
  until is_under_way || ! kill -0 "$LOOP" 2>/dev/null; do
    sleep 0.02
  done
  took=$(($(now_ms) - began))
  ended 0
  (($(rows) > BEFORE)) || broken 'no row has come of it'
  printf '%d\n' "$took" >>"$FOLDER/recoveries"
  ((took <= LIMIT_MS)) || broken "the recovery took $took ms, more than $LIMIT_MS"
  printf 'recovered in %d.%d s\n' $((took / 1000)) $((took % 1000 / 100))
}

# crashed FAILURE: so the last row says.
crashed() {
  local last
  last=$(tail -n 1 "$RUN/experiments.jsonl")
  [[ $last == *'"status": "crash"'*"\"failure\": \"$1\""* ]] ||
    broken "the last experiment is no crash of kind '$1': $(grep -oE '"(status|reason|failure)": [^,]*' <<<"$last" | paste -sd' ')"
  printf 'a crash row: %s\n' "$1"
}

# running: the processes of the tree that were started under a loop, or a run.
running() { grep -slzF -e "LAB_TREE=$TREE" -e "LAB_RUN_DIR=$TREE/" /proc/[0-9]*/environ | cut -d/ -f3 || :; }

# commands PID...: what they run, in one line.
commands() {
  local pid
  for pid; do
    printf '%s: %s; ' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")" || :
  done 2>/dev/null
}

# nothing_runs: once the loop has ended; a process that is ending is given a second.
nothing_runs() {
  local pids tries
  for ((tries = 0; tries < 20; tries++)); do
    mapfile -t pids < <(running)
    ((${#pids[@]})) || return 0
    sleep 0.05
  done
  broken "left running: $(commands "${pids[@]}")"
}

# person COMMAND...: git, as the person to whom the tree belongs.
person() { git -C "$TREE" -c user.name=person -c user.email=person@localhost "$@"; }

# belongings: what of the person's must be the same in the morning.
belongings() {
  person rev-parse refs/stash refs/heads/main refs/heads/idea
  sha256sum <"$TREE/my notes.txt"
}
