# Training runs beside the experiments, for bin/noise and bin/audit. They are done in runs/<tag>/replicates, so that an
# experiment that an interrupted loop has left in flight stays as it is. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/preflight.sh"
source "$TOOLKIT/lib/experiment/training_run.sh"

BEGUN=0           # runs that were begun
COUNTED=0         # runs that gave a value
declare -A WHY=() # a run is made again, by its name and seed

# runs_wanted NAME VALUE: a whole number that a person has given, or a default.
runs_wanted() {
  [[ $2 =~ ^[1-9][0-9]?$ ]] || die "$1 '$2' is not a whole number from 1 to 99" "it is how many runs: make ${0##*/} $1=3"
}

# finish: the last thing that happens, however it ends; where a signal ended it, with the status of that.
finish() {
  end_core
  drop_replicates
  exit_if_stopped
}

# begin_replicates ARGUMENT...: all that must hold before the first run. Names BASELINE and INCUMBENT, two commits.
# shellcheck disable=SC2034 # used where this is sourced
begin_replicates() {
  ready "$@"
  has_baseline || die "run '$TAG' has no baseline yet" 'measure it: make once'
  trap finish EXIT
  # shellcheck disable=SC2034 # used where this is sourced
  read -r BASELINE INCUMBENT < <("$LAB" baseline-and-incumbent "$RUN")
}

# fresh_seed COMMIT...: one that none of them was run with.
fresh_seed() { "$LAB" fresh-seed "$RUN" "$@"; }

# is_asked_to_stop: by make stop; the run in flight is over then.
is_asked_to_stop() { [[ -e $RUN/stop ]]; }

# replicate [NAME COMMIT SEED]...: a training run of the code of each COMMIT, as many at a time as there are slots; where one gave a
# value, reruns.jsonl has it then. One that was disturbed is made again with its seed, as an experiment's.
replicate() {
  local waiting=("$@") orders names again said key i
  mkdir -p "$RUN/logs"
  while ((${#waiting[@]})) && ! is_asked_to_stop; do
    orders=() names=() again=()
    for ((i = 0; i < ${#waiting[@]} && i < 3 * SLOTS; i += 3)); do
      key="${waiting[i]} ${waiting[i + 2]}"
      said=${WHY[$key]:-}
      tell "one more run of the ${waiting[i]}, with seed ${waiting[i + 2]}${said:+: $said}"
      BEGUN=$((BEGUN + 1))
      mkdir -p "$RUN/replicates/run.$BEGUN"
      put "$RUN/replicates/run.$BEGUN/commit" "${waiting[i + 1]}"
      orders+=("$RUN/replicates/run.$BEGUN" "${waiting[@]:i+1:2}")
      names+=("${waiting[i]}")
    done
    waiting=("${waiting[@]:i}")
    train_all "${orders[@]}"
    for ((i = 0; i < ${#names[@]}; i++)); do
      record_run "${names[i]}" "${orders[@]:3*i:3}"
    done
    waiting=("${again[@]}" "${waiting[@]}")
  done
}

# record_run NAME RUN_DIR COMMIT SEED: what came of it; `again` of replicate gets one that was disturbed.
record_run() {
  local word said
  gzip --stdout "$2/run.log" >"$RUN/logs/${3:0:7}-seed$4.log.gz"
  core record_replicate "$2" recorded
  read -r word said <"$2/recorded"
  case $word in
    counted) COUNTED=$((COUNTED + 1)) ;;
    again)
      again+=("$1" "$3" "$4")
      WHY["$1 $4"]=$said
      return
      ;;
    *) ;;
  esac
  tell "$said"
}
