# Training runs beside the experiments, for bin/noise and bin/audit. They are done in runs/<tag>/replicates, so that an
# experiment that an interrupted loop has left in flight stays as it is. Sourced.
# shellcheck shell=bash disable=SC2034 # IS_PARTIAL is for the verbs

source "$TOOLKIT/lib/run/preflight.sh"
source "$TOOLKIT/lib/experiment/training_run.sh"

readonly BOUND=3 # times the estimate

BEGUN=0           # runs that were begun
NUMBER=0          # the same, each that is made again counted once
COUNTED=0         # runs that gave a value
IS_PARTIAL=no     # whether some were not begun
declare -A WHY=() # a run is made again, by its name and seed

# runs_wanted NAME VALUE: a whole number that a person has given, or a default.
runs_wanted() {
  [[ $2 =~ ^[1-9][0-9]?$ ]] || die "$1 '$2' is not a whole number from 1 to 99" "it is how many runs: make ${0##*/} $1=3"
}

# finish: the last thing that happens, however it ends; where a signal ended it, what is known by then is told, and the status is that of
# the signal.
finish() {
  [[ -z $STOPPED ]] || ((COUNTED == 0)) || told_when_stopped
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
# value, reruns.jsonl has it then. One that was disturbed is made again with its seed, as an experiment's; but on a machine that is busy
# for hours this ends all the same: from a time on that is BOUND times the estimate, no run is begun any more, and half of them is the
# most that are made again.
replicate() {
  local waiting=("$@") wanted=$(($# / 3)) again_left=$((($# / 3 + 1) / 2)) until
  local -A names=() orders=() # by the pid of a run that is at work
  mkdir -p "$RUN/logs"
  estimate "$wanted"
  moment
  until=$((MOMENT + 100 * BOUND * ESTIMATE_S))
  tell "$wanted runs, about $(in_words "$ESTIMATE_S"), $((SLOTS < wanted ? SLOTS : wanted)) at a time; after $(in_words $((BOUND * ESTIMATE_S))) none is begun any more"
  while ((${#waiting[@]} || ${#names[@]})); do
    moment
    if ((MOMENT > until && ${#waiting[@]})); then
      tell "it takes too long: $((${#waiting[@]} / 3)) runs are not begun"
      waiting=()
      IS_PARTIAL=yes
    fi
    if is_asked_to_stop && ((${#waiting[@]})); then
      waiting=()
      IS_PARTIAL=yes
    fi
    while ((${#waiting[@]} && ${#names[@]} < SLOTS)); do
      begin_run "${waiting[@]:0:3}"
      waiting=("${waiting[@]:3}")
    done
    run_child sleep 0.2 || :
    exit_if_stopped
    land_runs
  done
}

# estimate RUNS: ESTIMATE_S seconds, by how long the runs of late have taken.
estimate() {
  local each
  each=$("$LAB" run-seconds "$RUN")
  ESTIMATE_S=$((each * (($1 + SLOTS - 1) / SLOTS)))
}

# in_words SECONDS
in_words() {
  if (($1 < 120)); then printf '%s s' "$1"; else printf '%s min' $((($1 + 59) / 60)); fi
}

# begin_run NAME COMMIT SEED
begin_run() {
  local said=${WHY["$1 $3"]:-}
  [[ -n $said ]] || NUMBER=$((NUMBER + 1))
  tell "run $NUMBER of $wanted: one more of the $1, with seed $3${said:+, again: $said}"
  BEGUN=$((BEGUN + 1))
  mkdir -p "$RUN/replicates/run.$BEGUN"
  put "$RUN/replicates/run.$BEGUN/commit" "$2"
  start_child "$BASH" "$TOOLKIT/lib/experiment/train" "$RUN/replicates/run.$BEGUN" "$2" "$3"
  names[$STARTED]=$1
  orders[$STARTED]="$BEGUN $2 $3"
}

# land_runs: what came of those that have ended.
land_runs() {
  local pid number commit seed
  for pid in "${!names[@]}"; do
    ! kill -0 "$pid" 2>/dev/null || continue
    end_of "$pid" || { exit_if_stopped && exit 2; } # it has said why
    read -r number commit seed <<<"${orders[$pid]}"
    record_run "${names[$pid]}" "$RUN/replicates/run.$number" "$commit" "$seed"
    unset "names[$pid]" "orders[$pid]"
  done
}

# record_run NAME RUN_DIR COMMIT SEED: what came of it.
record_run() {
  local word said
  gzip --stdout "$2/run.log" >"$RUN/logs/${3:0:7}-seed$4.log.gz"
  core record_replicate "$2" recorded
  read -r word said <"$2/recorded"
  if [[ $word == again ]] && ((again_left-- > 0)); then
    WHY["$1 $4"]=$said
    waiting=("$1" "$3" "$4" "${waiting[@]}")
    return
  elif [[ $word == again ]]; then
    core take_replicate "$2" recorded
    read -r word said <"$2/recorded"
  fi
  [[ $word != counted ]] || COUNTED=$((COUNTED + 1))
  tell "$said"
  after_run
}

# after_run: for the verb: there is a value more.
after_run() { :; }
