# What the loop asks of engines (what one is: CONTRIBUTING.md). Sourced, after child/run_child.sh.
# shellcheck shell=bash

[[ -n ${OF_SESSION:-} ]] || source "$TOOLKIT/lib/run/caller.sh"

# is_far: whether runs go to another host, where this one's GPUs and variables mean nothing.
is_far() { [[ ${ENGINE_PATH:-/lib/child/engines/local} != */lib/child/engines/local ]]; }

# engine_of RUN_DIR: ENGINE_OF is the engine that has started it, whatever ENGINE is today.
engine_of() {
  read -r ENGINE_OF 2>/dev/null <"$1/engine" || ENGINE_OF=local
  [[ $ENGINE_OF == */* ]] || ENGINE_OF=$TOOLKIT/lib/child/engines/$ENGINE_OF
}

# name_engine RUN_DIR: for engine_of; one of ours by its name, for this copy of the toolkit goes.
name_engine() { note "$1/engine" "${ENGINE_PATH#"$TOOLKIT/lib/child/engines/"}"; }

# cancel_run RUN_DIR: whoever has started it. A cluster that does not answer is told, and no reason to stop: the runner ends by itself
# when the handle is gone.
cancel_run() {
  engine_of "$1"
  if [[ $ENGINE_OF == */lib/child/engines/local ]]; then
    "$ENGINE_OF" --cancel "$1"
  else
    "${LIMITED[@]}" 60 "$ENGINE_OF" --cancel "$1" || tell "engine '${ENGINE_OF##*/}' could not cancel '$1'"
  fi
}

# state_of_run RUN_DIR: STATE is pending, running or gone; unknown, where the engine cannot tell.
state_of_run() {
  engine_of "$1"
  capture "${LIMITED[@]}" 60 "$ENGINE_OF" --check "$1" || OUTPUT=unknown
  STATE=${OUTPUT##*$'\n'}
  [[ $STATE == @(pending|running|gone) ]] || STATE=${OUTPUT%%$'\n'*}
  [[ $STATE == @(pending|running|gone) ]] || STATE=unknown
}

# is_under_way RUN_DIR: whether it outlives the loop that has started it: it waits, runs, or has come to its end meanwhile. One that runs
# here ends with its loop.
is_under_way() {
  [[ -e $1/handle && ! -e $1/cancelled ]] || return 1
  engine_of "$1"
  [[ $ENGINE_OF != */lib/child/engines/local ]] || return 1
  [[ ! -e $1/rc ]] || return 0
  state_of_run "$1"
  [[ $STATE == @(pending|running) ]]
}

# is_reserved FILE: whether a run of an earlier loop is at work in the slot whose mark this is (slots/K.job); not, for that run itself.
is_reserved() {
  local run_dir
  read -r run_dir 2>/dev/null <"$1" || return 1
  [[ $run_dir != "${RUN_DIR:-}" && -e $run_dir/handle && ! -e $run_dir/looked && ! -e $run_dir/cancelled ]]
}

# through_engine SECONDS COMMAND...: runs it where training runs, in the tree, with what training has of the environment: OUTPUT is what it
# says, HOST is where, and the status is its own. 125: there is no answer within so many seconds, of which it may wait in a queue for some; 0 is no limit.
through_engine() {
  local seconds=$1 run_dir status=0
  shift
  mkdir -p "$TREE/runs"
  run_dir=$(mktemp -d "$TREE/runs/.look-XXXXXXXX")
  printf '%q ' "$@" >"$run_dir/cmd"
  printf '%s' "$TREE" >"$run_dir/cwd"
  printf 120 >"$run_dir/limit_s"
  (umask 077 && environment_of_training far >"$run_dir/env")
  name_engine "$run_dir"
  capture "${LIMITED[@]}" "$seconds" "$ENGINE_PATH" "$run_dir" || :
  if [[ -e $run_dir/rc ]]; then
    read -r status <"$run_dir/rc"
    OUTPUT=$(tail -c 10000 "$run_dir/run.log")
  else
    cancel_run "$run_dir"
    status=125
  fi
  # shellcheck disable=SC2034 # used where this is sourced
  HOST=$(cat "$run_dir/host" 2>/dev/null) || HOST=
  rm -rf "$run_dir"
  return "$status"
}
