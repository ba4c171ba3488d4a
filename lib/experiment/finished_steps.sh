# The finished steps of a flight, FLIGHT/done: the first line has the attempt, each other line a step. STEP is the
# current step. Sourced by dispatch.
# shellcheck shell=bash

# next_step: sets STEP to the first step that is not done; fails if all are.
next_step() {
  local path finished
  mapfile -t finished <"$FLIGHT/done"
  for path in "$TOOLKIT"/lib/experiment/steps/[0-9][0-9]-*; do
    STEP=${path##*/}
    [[ " ${finished[*]} " == *" $STEP "* ]] || return 0
  done
  return 1
}

# send_back NN [0]: removes the marks from step NN on and counts an attempt (not with 0), in one rename.
send_back() {
  local word rest
  while read -r word rest; do
    case $word in
      attempt) printf 'attempt %s\n' $((rest + ${2:-1})) ;;
      [0-9][0-9]-*) [[ $word < $1 ]] && printf '%s\n' "$word" ;;
      *) ;;
    esac
  done <"$FLIGHT/done" >"$FLIGHT/done.new"
  mv -f "$FLIGHT/done.new" "$FLIGHT/done"
}

# mark_done [NN]: marks STEP as done, and all steps before NN, in one write.
mark_done() {
  local path marks=$STEP
  for path in "$TOOLKIT"/lib/experiment/steps/[0-9][0-9]-*; do
    path=${path##*/}
    if [[ $path > $STEP && $path < ${1:-0} ]]; then
      marks+=$'\n'$path
    fi
  done
  printf '%s\n' "$marks" >>"$FLIGHT/done"
}
