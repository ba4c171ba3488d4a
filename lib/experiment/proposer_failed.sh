# Decides when to ask a failed proposer again. Sourced by scheduler.sh; uses its counts.
# shellcheck shell=bash disable=SC2034 # used there

# hear_of_proposals: whether the proposer works again: a call that began after its last failure brought a proposal.
hear_of_proposals() {
  local asked
  [[ FAILURES -gt 0 || -e $RUN/trouble.proposer ]] || return 0
  read -r asked 2>/dev/null <"$RUN/calls/answered" && ((asked >= FAILED_AT)) || return 0
  FAILURES=0 ASK_AT=0 WAIT_S=$PROPOSAL_WAIT
  [[ ! -e $RUN/not-before ]] || rm -f "$RUN/not-before"
  over proposer
}

# proposer_failed ID: asks again later, with growing waits. After each third failure in a row the catalog proposes one.
proposer_failed() {
  local wait_s
  [[ ${PROPOSERS_OF[$1]:-} != "$EDITED" ]] || return 0
  if [[ ${PROPOSERS_OF[$1]:-} != "$CATALOG" || $LOOP_AGENT == "$CATALOG" ]]; then
    FAILURES=$((FAILURES + 1))
    moment
    FAILED_AT=$MOMENT
    if ((FAILURES % 3 == 0)); then
      trouble proposer "no proposal from '${LOOP_AGENT##*/}', $FAILURES times in a row"
      IS_FALL_BACK=yes
      return
    fi
  fi
  now
  wait_s=$(until_told "$WAIT_S")
  put "$RUN/not-before" $((NOW + wait_s)) # for flights that started and have not asked yet
  tell "asking the proposer again in $wait_s s"
  moment
  ASK_AT=$((MOMENT + 100 * wait_s))
  WAIT_S=$((WAIT_S * 2 < LONGEST_WAIT_S ? WAIT_S * 2 : LONGEST_WAIT_S))
}

# until_told GROWN: prints the seconds until the next call: until the time that the proposer named, if it is near, else
# GROWN.
until_told() {
  local told
  told=$(cat "$RUN/not-before" 2>/dev/null) || told=0
  printf '%s' "$((told > NOW && told - NOW <= LONGEST_WAIT_S ? told - NOW + 1 : $1))"
}
