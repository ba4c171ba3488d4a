# A limited number of places: a folder of lock files, 0.lock and so on. A place is free when its holder and all
# processes that it started have ended. Sourced, after child/run_child.sh, run/current_run.sh and python_core.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/engine.sh"

# take_place FOLDER COUNT CHECK: takes a free place that is not out: PLACE is its number, and its lock is on 8. Waits in
# order. Gives up when CHECK fails, which is called meanwhile.
take_place() {
  local number
  [[ -d $1 ]] || mkdir -p "$1"
  for ((number = 0; number < $2; number++)); do
    [[ -e $1/$number.lock ]] || : >>"$1/$number.lock"
  done
  wait_in_line "$1" "$3" || return
  until take_free_place "$1" "$2"; do
    [[ -z ${KIND:-} ]] || exec 4>&- # others may take what does not fit
    run_child sleep 0.2 || :
    goes_on "$3" || return
    [[ -z ${KIND:-} ]] || wait_in_line "$1" "$3" || return
  done
  exec 4>&-
}

# wait_in_line FOLDER CHECK: until it is ours to look which place is free.
wait_in_line() {
  exec 4<>"$1/queue.lock"
  until run_child "${LOCK[@]}" 5 4; do
    goes_on "$2" || return
  done
}

# take_free_place FOLDER COUNT: asks the core for the free places, since trying each lock would cost a process.
take_free_place() {
  core free_places "$1" free
  while read -r PLACE; do
    ((PLACE < $2)) || continue
    ! is_reserved "$1/$PLACE.job" || continue
    [[ -z ${KIND:-} ]] || is_of_kind "$PLACE" || continue
    exec 8<>"$1/$PLACE.lock"
    ! lock 8 || return 0
    exec 8>&-
  done <"$1/free"
  return 1
}

# goes_on CHECK: whether to keep waiting.
goes_on() {
  beat
  exit_if_stopped
  "$1" && return
  exec 4>&-
  return 1
}
