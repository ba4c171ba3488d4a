# The loop's calls of an engine (CONTRIBUTING.md defines engines). Sourced, after child/run_child.sh.
# shellcheck shell=bash

[[ -n ${OF_SESSION:-} ]] || source "$TOOLKIT/lib/run/caller.sh"

# is_far: whether runs go to other hosts, where the GPUs and variables of this one mean nothing.
is_far() { [[ ${ENGINE_PATH:-/lib/child/engines/local} != */lib/child/engines/local ]]; }

# engine_of RUN_DIR: sets ENGINE_OF to the engine that started the run, whatever ENGINE is now.
engine_of() {
  read -r ENGINE_OF 2>/dev/null <"$1/engine" || ENGINE_OF=local
  [[ $ENGINE_OF == */* ]] || ENGINE_OF=$TOOLKIT/lib/child/engines/$ENGINE_OF
}

# name_engine RUN_DIR: records the engine for engine_of. One of ours is recorded by name, because this copy of the
# toolkit will be deleted.
name_engine() { note "$1/engine" "${ENGINE_PATH#"$TOOLKIT/lib/child/engines/"}"; }

# cancel_run RUN_DIR: cancels the run by the engine that started it. If a cluster does not answer, this is reported and
# the loop goes on: the runner ends by itself when the handle is gone.
cancel_run() {
  engine_of "$1"
  if [[ $ENGINE_OF == */lib/child/engines/local ]]; then
    "$ENGINE_OF" --cancel "$1"
  else
    "${LIMITED[@]}" 60 "$ENGINE_OF" --cancel "$1" || tell "engine '${ENGINE_OF##*/}' could not cancel '$1'"
  fi
}

# state_of_run RUN_DIR: sets STATE to pending, running, gone, or unknown if the engine cannot tell.
state_of_run() {
  engine_of "$1"
  capture "${LIMITED[@]}" 60 "$ENGINE_OF" --check "$1" || OUTPUT=unknown
  STATE=${OUTPUT##*$'\n'}
  [[ $STATE == @(pending|running|gone) ]] || STATE=${OUTPUT%%$'\n'*}
  [[ $STATE == @(pending|running|gone) ]] || STATE=unknown
}

# is_under_way RUN_DIR: whether the run outlived the loop that started it: it is pending, running or finished. A run on
# this host ends with its loop.
is_under_way() {
  [[ -e $1/handle && ! -e $1/cancelled ]] || return 1
  engine_of "$1"
  [[ $ENGINE_OF != */lib/child/engines/local ]] || return 1
  [[ ! -e $1/rc ]] || return 0
  state_of_run "$1"
  [[ $STATE == @(pending|running) ]]
}

# is_reserved FILE: whether a run of an earlier loop still uses the slot of this mark (slots/K.job). Not for that run
# itself.
is_reserved() {
  local run_dir
  read -r run_dir 2>/dev/null <"$1" || return 1
  [[ $run_dir != "${RUN_DIR:-}" && -e $run_dir/handle && ! -e $run_dir/looked && ! -e $run_dir/cancelled ]]
}

# through_engine SECONDS COMMAND...: runs the command where training runs, in the tree, with the environment of a
# training. OUTPUT is its output, HOST its host, and the status is its own. 125: no answer within SECONDS, the time in
# the queue included (0: no limit).
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
