# Commands of the person's that are told: ON_KEEP of a new best, ON_TROUBLE of what keeps the loop from working, once when it
# begins and once when it is over. Sourced, after current_run.sh.
# shellcheck shell=bash

declare -A TOLD=() # the troubles that this process has told of: a full disk may forget

# hook NAME EVENT LINE [EXPERIMENT]: starts the command of setting NAME, if there is one, in a session of its own, and does not
# wait. EXPERIMENT is a JSON object. It is not of this loop: the next one does not end it, for it ends by itself (lib/run/send-notification).
hook() {
  [[ -n ${!1:-} ]] || return 0
  detach env -u LAB_TREE -u LAB_HOLDER -u FLIGHT "$TOOLKIT/lib/run/send-notification" "$@" </dev/null >/dev/null 2>&1 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- || :
}

# trouble KIND WORD...: what keeps the loop from working. `make status` says it until it is over.
trouble() {
  local kind=$1 file=$RUN/trouble.$1
  shift
  tell "$*"
  [[ -e $file || -n ${TOLD[$kind]:-} ]] || hook ON_TROUBLE trouble "$*"
  TOLD[$kind]=yes
  put "$file" "$(date '+%F %T')  $*" 2>/dev/null || :
}

# over KIND...: there is a row again.
over() {
  local kind was
  for kind in "$@"; do
    [[ -e $RUN/trouble.$kind || -n ${TOLD[$kind]:-} ]] || continue
    was=$(cat "$RUN/trouble.$kind" 2>/dev/null) || :
    rm -f "$RUN/trouble.$kind"
    TOLD[$kind]=
    hook ON_TROUBLE over "the loop works again${was:+; it had: ${was#*  }}"
  done
}
