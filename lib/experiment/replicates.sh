# Training runs beside the experiments, for bin/noise and bin/audit. They are done in runs/<tag>/replicates, so that an
# experiment that an interrupted loop has left in flight stays as it is. Sourced.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/preflight.sh"
source "$TOOLKIT/lib/experiment/training_run.sh"

BEGUN=0   # runs that were begun
COUNTED=0 # runs that gave a value

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
begin_replicates() {
  ready "$@"
  has_baseline || die "run '$TAG' has no baseline yet" 'measure it: make once'
  trap finish EXIT
  rm -f "$RUN/stop"
  # shellcheck disable=SC2034 # used where this is sourced
  read -r BASELINE INCUMBENT < <("$LAB" baseline-and-incumbent "$RUN")
}

# fresh_seed COMMIT...: one that none of them was run with.
fresh_seed() { "$LAB" fresh-seed "$RUN" "$@"; }

# is_asked_to_stop: by make stop; the run in flight is over then.
is_asked_to_stop() { [[ -e $RUN/stop ]]; }

# replicate NAME COMMIT SEED: one training run of the code of COMMIT; where it gave a value, reruns.jsonl has it then. One that
# was disturbed is made again with its seed, as an experiment's.
replicate() {
  local name=$1 commit=$2 seed=$3 word=again said='' dir
  while [[ $word == again ]]; do
    tell "one more run of the $name, with seed $seed${said:+: $said}"
    BEGUN=$((BEGUN + 1))
    dir=$RUN/replicates/run.$BEGUN
    mkdir -p "$dir" "$RUN/logs"
    put "$dir/commit" "$commit"
    train "$dir" "$commit" "$seed"
    gzip --stdout "$dir/run.log" >"$RUN/logs/${commit:0:7}-seed$seed.log.gz"
    read -r word said < <("$LAB" record-replicate "$RUN" "$dir")
  done
  tell "$said"
  [[ $word != counted ]] || COUNTED=$((COUNTED + 1))
}
