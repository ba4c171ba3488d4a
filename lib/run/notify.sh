# Calls the person's commands: ON_KEEP at a new best, ON_TROUBLE when the loop gets stuck and when it works again.
# Sourced, after current_run.sh.
# shellcheck shell=bash

declare -A TOLD=() # troubles that this process has reported; on a full disk the file is missing

# hook NAME EVENT LINE [EXPERIMENT]: starts the command of setting NAME in a session of its own, without waiting.
# EXPERIMENT is a JSON object. The command gets no tag of this loop, so that the next loop does not end it.
hook() {
  [[ -n ${!1:-} ]] || return 0
  detach env -u LAB_TREE -u LAB_HOLDER -u FLIGHT "$TOOLKIT/lib/run/send-notification" "$@" </dev/null >/dev/null 2>&1 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- || :
}

# trouble KIND WORD...: reports a problem of the loop. `make status` shows it until it is over.
trouble() {
  local kind=$1 file=$RUN/trouble.$1
  shift
  tell "$*"
  [[ -e $file || -n ${TOLD[$kind]:-} ]] || hook ON_TROUBLE trouble "$*"
  TOLD[$kind]=yes
  put "$file" "$(date '+%F %T')  $*" 2>/dev/null || :
}

# over KIND...: these problems are over.
over() {
  local kind was
  for kind in "$@"; do
    [[ -e $RUN/trouble.$kind || -n ${TOLD[$kind]:-} ]] || continue
    was=$(cat "$RUN/trouble.$kind" 2>/dev/null) || :
    rm -f "$RUN/trouble.$kind"
    TOLD[$kind]=
    hook ON_TROUBLE over "the loop works again${was:+; the problem was: ${was#*  }}"
  done
}
