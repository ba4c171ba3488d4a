# The Python core of a loop: one server process that does the Python part of every step, so that no step starts an
# interpreter. Sourced.
# shellcheck shell=bash

# start_core: starts it for this verb and its children. Requests go to 6; it ends with the last writer.
start_core() {
  local asked
  coproc CORE { exec "$LAB" --step --serve "$RUN" 7>&- 8>&- 9>&-; }
  export LAB_CORE=$CORE_PID
  asked=${CORE[1]}
  exec 6>"/dev/fd/$asked" # reopened, since bash closes a coprocess's descriptors in its children
  exec {asked}>&-
  open_answers
}

# open_answers: answers to this process, and to the steps that it runs one by one, come on 7: a pipe that ends with this
# process.
open_answers() {
  exec 7<> <(:)
  path_of 7
  export ANSWERS=$PATH_OF
}

# end_core: ends it with a signal, since an orphaned step could keep it alive.
end_core() {
  [[ -n ${CORE_PID:-} ]] || return 0
  kill "$CORE_PID" 2>/dev/null || :
  wait "$CORE_PID" 2>/dev/null || :
}

# core NAME FOLDER [FILE]: asks for that part of a step (lib/lab/step_server.py) on the folder of a run, a flight or a
# training run. The answer is in FOLDER/FILE.
core() {
  local id='' status file=/dev/null
  [[ -z ${3:-} ]] || file=$2/$3
  { printf '%s\t%s\t%s\t%s\t%s\n' "$ANSWERS" "$BASHPID" "$1" "$2" "$file" >&6; } 2>/dev/null || core_is_gone
  while [[ $id != "$BASHPID" ]]; do # skips answers to killed steps
    until read -r -t 2 id status <&7; do
      kill -0 "$LAB_CORE" 2>/dev/null || core_is_gone
      [[ -e $ANSWERS ]] || exit 2 # the dispatcher of this step was killed
    done
  done
  return "$status"
}

is_core_alive() { kill -0 "$LAB_CORE" 2>/dev/null; }

core_is_gone() { die "the Python helper process of this loop was killed" 'start the loop again: make loop'; }
