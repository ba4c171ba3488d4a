# The Python core of a loop: one process that has imported all that the steps need, and does it for each of them. So a step costs
# the core's work, not an interpreter's start. It knows nothing from one call to the next. Sourced.
# shellcheck shell=bash

# start_core: for this verb and all that it starts; 6 is where it is asked, 7 where it answers. It ends with the last of them.
start_core() {
  local asked answers
  coproc CORE { exec "$LAB-step" --serve "$RUN" 9>&-; }
  asked=${CORE[1]} answers=${CORE[0]}
  # Opened anew: bash gives those of a coprocess, and what it copies of them, to none of its children.
  exec 6>"/dev/fd/$asked" 7<"/dev/fd/$answers"
  exec {asked}>&- {answers}<&-
}

# end_core: at the end of that verb. By a signal, for a step whose own parent was killed may still be there, and could ask.
end_core() {
  [[ -n ${CORE_PID:-} ]] || return 0
  kill "$CORE_PID" 2>/dev/null || :
  wait "$CORE_PID" 2>/dev/null || :
}

# core NAME [FILE]: do that part of a step on the run (lib/lab/step_server.py); what it says is in FILE then, a path in $RUN.
core() {
  local id='' status
  { printf '%s\n' "$BASHPID $*" >&6; } 2>/dev/null || die 'the Python core of this loop has ended' 'start the loop again'
  while [[ $id != "$BASHPID" ]]; do # an answer that nobody has waited for may come first
    read -r id status <&7 || die 'the Python core of this loop has ended' 'start the loop again'
  done
  return "$status"
}
