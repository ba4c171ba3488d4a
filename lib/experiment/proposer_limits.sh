# Limits what a proposer can change, and undoes other changes. Sourced by ask_proposer.sh, whose CALL and scratch it
# uses.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/confinement.sh"

# is_ours: whether the proposer is one of our own that is not an agent. These need to read the runs.
is_ours() { [[ $AGENT_PATH == "$TOOLKIT"/lib/proposers/@(catalog|edited|retry) ]]; }

# hold: confines the proposer, or else records the state of what it must not change.
hold() {
  local path
  if [[ ${LAB_HELD:-no} != no ]]; then
    confine_proposer "$scratch"
    while IFS= read -r path; do [[ -e $path || -L $path ]] || printf '%s\n' "$path"; done <"$RUN/proposer.absent" >"$CALL/absent"
  else
    : >"$RUN/loose" # lib/run/branch.sh
    git for-each-ref --format='%(refname) %(objectname)' "refs/experiments/$TAG/" "$RECORDS/$TAG" >"$CALL/refs"
    core look_before "$CALL"
  fi
}

# look_what_it_touched: restores what it changed and lists it in CALL/touched, which rejects the proposal.
look_what_it_touched() {
  if [[ -e $CALL/confine ]]; then
    take_away_configurations
    return
  fi
  core look_after "$CALL" touched
  put_refs_back >>"$CALL/touched"
  [[ ! -s $CALL/touched ]] || tell "undid the proposer's changes outside of its copy: $(paste -sd' ' "$CALL/touched")"
}

# take_away_configurations: moves new git configurations aside before our git reads them. They did not exist, so they
# could not be made read-only. Many agents create one in order to commit, so this does not reject the proposal.
take_away_configurations() {
  local path aside
  while IFS= read -r path; do
    [[ -e $path || -L $path ]] || continue
    aside=$RUN/aside/$(date +%Y%m%d-%H%M%S)-$$
    mkdir -p "$aside"
    mv -f -- "$path" "$aside"
    tell "moved '$path', a git configuration that the proposer created, to '${aside#"$TREE/"}'"
  done <"$CALL/absent"
}

# put_refs_back: restores the refs of recorded experiments and of the records, which only grow. Prints each one.
put_refs_back() {
  local ref commit now
  while read -r ref commit; do
    value_of now git rev-parse --quiet --verify "$ref"
    if [[ $ref == "$RECORDS/"* ]]; then
      [[ -z $now ]] || ! says_yes git merge-base --is-ancestor "$commit" "$now" 2>/dev/null || continue
    elif [[ $now == "$commit" ]] || ! is_on_record "$commit"; then
      continue
    fi
    git "${DURABLY[@]}" update-ref "$ref" "$commit" 2>/dev/null || : # the object is gone, too: lib/run/git_records.sh
    printf '%s\n' "$ref"
  done <"$CALL/refs"
}
