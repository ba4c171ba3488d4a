# Training runs for bin/noise and bin/audit, in runs/<tag>/replicates, so that an experiment in flight stays as it is.
# Sourced.
# shellcheck shell=bash disable=SC2034 # IS_PARTIAL is for the verbs

source "$TOOLKIT/lib/run/preflight.sh"
source "$TOOLKIT/lib/experiment/training_run.sh"

readonly BOUND=3 # no run starts after so many times the estimate

BEGUN=0           # started runs
NUMBER=0          # started runs, without repetitions
COUNTED=0         # runs that gave a value
IS_PARTIAL=no     # whether some runs were not started
declare -A WHY=() # why a run is repeated, by name and seed

# runs_wanted NAME VALUE: checks the number that a person gave.
runs_wanted() {
  [[ $2 =~ ^[1-9][0-9]?$ ]] ||
    die "$1 '$2' is not a whole number from 1 to 99" "give the number of runs: make ${0##*/} $1=3"
}

# finish: runs at every exit. After a signal it prints what is known, and keeps the status of the signal.
finish() {
  [[ -z $STOPPED ]] || ((COUNTED == 0)) || report_when_stopped
  end_core
  drop_replicates
  exit_if_stopped
}

# begin_replicates ARGUMENT...: all checks before the first run. Sets BASELINE and INCUMBENT to their commits.
# shellcheck disable=SC2034 # used where this is sourced
begin_replicates() {
  ready "$@"
  has_baseline || die "run '$TAG' has no baseline yet" 'measure it: make once'
  trap finish EXIT
  # shellcheck disable=SC2034 # used where this is sourced
  { read -r BASELINE && read -r INCUMBENT; } < <("$LAB" baseline-and-incumbent "$RUN")
}

# fresh_seed COMMIT...: prints a seed that none of them has used.
fresh_seed() { "$LAB" fresh-seed "$RUN" "$@"; }

# is_asked_to_stop: whether make stop was called. The running training finishes first.
is_asked_to_stop() { [[ -e $RUN/stop ]]; }

# replicate [NAME COMMIT SEED]...: trains each COMMIT with SEED, on all slots; reruns.jsonl records each value. A
# disturbed run is repeated with its seed, at most half of the runs. No run starts after BOUND times the estimate, so it
# ends on a busy machine, too.
replicate() {
  local waiting=("$@") wanted=$(($# / 3)) again_left=$((($# / 3 + 1) / 2)) until
  local -A names=() orders=() # by pid of the running trainings
  mkdir -p "$RUN/logs"
  estimate "$wanted"
  moment
  until=$((MOMENT + 100 * BOUND * ESTIMATE_S))
  tell "$wanted runs, about $(in_words "$ESTIMATE_S"), $((SLOTS < wanted ? SLOTS : wanted)) at a time;" \
    "no run starts after $(in_words $((BOUND * ESTIMATE_S)))"
  while ((${#waiting[@]} || ${#names[@]})); do
    moment
    if ((${#waiting[@]})) && { ((MOMENT > until)) || is_asked_to_stop; }; then
      is_asked_to_stop || tell "taking too long: $((${#waiting[@]} / 3)) runs are skipped"
      waiting=()
      # shellcheck disable=SC2034 # used where this is sourced
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

# estimate RUNS: sets ESTIMATE_S to the seconds that they take, from recent runs.
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
  tell "run $NUMBER of $wanted: the $1 with seed $3${said:+, repeated: $said}"
  BEGUN=$((BEGUN + 1))
  mkdir -p "$RUN/replicates/run.$BEGUN"
  put "$RUN/replicates/run.$BEGUN/commit" "$2"
  start_child "$BASH" "$TOOLKIT/lib/experiment/train" "$RUN/replicates/run.$BEGUN" "$2" "$3"
  names[$STARTED]=$1
  orders[$STARTED]="$BEGUN $2 $3"
}

# land_runs: records the runs that have ended.
land_runs() {
  local pid number commit seed
  for pid in "${!names[@]}"; do
    ! kill -0 "$pid" 2>/dev/null || continue
    end_of "$pid" || { exit_if_stopped && exit 2; } # the run has printed the cause
    read -r number commit seed <<<"${orders[$pid]}"
    record_run "${names[$pid]}" "$RUN/replicates/run.$number" "$commit" "$seed"
    unset "names[$pid]" "orders[$pid]"
  done
}

# record_run NAME RUN_DIR COMMIT SEED: records its value, or has it repeated.
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

# after_run: a verb may replace it; called after each recorded run.
after_run() { :; }
