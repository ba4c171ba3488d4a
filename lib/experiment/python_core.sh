# The Python core of a loop: one process that has imported all that the steps need, and does it for each of them, one request after
# the other. So a step costs the core's work, not an interpreter's start. Sourced.
# shellcheck shell=bash

# start_core: for this verb and all that it starts; it is asked on 6, and ends with the last of them.
start_core() {
  local asked
  coproc CORE { exec "$LAB" --step --serve "$RUN" 7>&- 8>&- 9>&-; }
  export LAB_CORE=$CORE_PID
  asked=${CORE[1]}
  exec 6>"/dev/fd/$asked" # opened anew: bash gives that of a coprocess, and what it copies of it, to none of its children
  exec {asked}>&-
  hear_core
}

# hear_core: what is asked by this process, and by those that it starts one after the other, is answered on 7: a pipe that ends with
# this process, so nobody has to clear it away.
hear_core() {
  exec 7<> <(:)
  path_of 7
  export ANSWERS=$PATH_OF
}

# end_core: at the end of that verb. By a signal, for a step whose own parent was killed may still be there, and could ask.
end_core() {
  [[ -n ${CORE_PID:-} ]] || return 0
  kill "$CORE_PID" 2>/dev/null || :
  wait "$CORE_PID" 2>/dev/null || :
}

# core NAME FOLDER [FILE]: do that part of a step (lib/lab/step_server.py) on the folder of a run, a flight or a training run; what
# it says is in FOLDER/FILE then.
core() {
  local id='' status file=/dev/null
  [[ -z ${3:-} ]] || file=$2/$3
  { printf '%s\t%s\t%s\t%s\t%s\n' "$ANSWERS" "$BASHPID" "$1" "$2" "$file" >&6; } 2>/dev/null || core_is_gone
  while [[ $id != "$BASHPID" ]]; do # an answer that nobody has waited for may come first
    until read -r -t 2 id status <&7; do
      kill -0 "$LAB_CORE" 2>/dev/null || core_is_gone
      [[ -e $ANSWERS ]] || exit 2 # the dispatcher of this step was killed
    done
  done
  return "$status"
}

is_core_alive() { kill -0 "$LAB_CORE" 2>/dev/null; }

core_is_gone() { die 'the Python core of this loop has ended' 'start the loop again'; }
