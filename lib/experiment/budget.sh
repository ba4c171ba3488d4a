# When a loop ends: after MAX_EXPERIMENTS rows, or once MAX_HOURS, MAX_COST or MAX_TOKENS is reached. runs/<tag>/over
# says which. Then the experiments that train are finished, also after a restart, and no other begins. Sourced by
# scheduler.sh.
# shellcheck shell=bash

BUDGET_AT=0 # when to check it again

# begin_budget: counts from now on, unless this loop is a restart.
begin_budget() {
  [[ ${LAB_RESTARTED:-} != yes || ! -e $RUN/budget ]] || return 0
  rm -f "$RUN/over" "$RUN/over.unknown"
  core begin_budget "$RUN"
}

is_goal_open() {
  if [[ $MARK == queue ]]; then has_edit_waiting; else ! has_baseline || ((GOAL == 0 || ROWS + ADDED < GOAL)); fi
}

is_over_budget() { [[ $MARK != queue && -e $RUN/over ]]; }

# is_begun ID: whether that flight has started to train.
is_begun() { compgen -G "$RUN/flights/$1/run.*" >/dev/null; }

# has_begun_waiting: whether a waiting flight has trained in an earlier loop.
has_begun_waiting() {
  local id
  for id in "${WAITING[@]}"; do ! is_begun "$id" || return 0; done
  return 1
}

# look_at_budget: checks the budget each minute, and after each flight.
look_at_budget() {
  local word why
  [[ $MARK != queue && "$MAX_HOURS$MAX_COST$MAX_TOKENS" =~ [1-9] && ! -e $RUN/over ]] || return 0
  moment
  ((MOMENT >= BUDGET_AT)) || return 0
  BUDGET_AT=$((MOMENT + 100 * MINUTE))
  core budget "$RUN" budget.says
  read -r word why <"$RUN/budget.says" || return 0
  if [[ $word == over ]]; then
    put "$RUN/over" "$why"
    tell "$why: the loop ends after the running trainings"
  elif [[ ! -e $RUN/over.unknown ]]; then
    tell "$why"
    : >"$RUN/over.unknown"
  fi
}
