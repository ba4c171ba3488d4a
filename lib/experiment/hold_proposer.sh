# What a proposer may touch, and what becomes of what it touches all the same. Sourced by ask_proposer.sh, whose CALL and scratch this uses.
# shellcheck shell=bash

source "$TOOLKIT/lib/experiment/confinement.sh"

# is_ours: whether the proposer is one of ours that is no agent; those read the runs.
is_ours() { [[ $AGENT_PATH == "$TOOLKIT"/lib/proposers/@(catalog|edited|retry) ]]; }

# hold: the proposer is confined; or what it must not touch is remembered.
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

# look_what_it_touched: what it has touched is put back, told, and in CALL/touched, a line each: such a proposal is rejected.
look_what_it_touched() {
  if [[ -e $CALL/confine ]]; then
    take_away_configurations
    return
  fi
  core look_after "$CALL" touched
  put_refs_back >>"$CALL/touched"
  [[ ! -s $CALL/touched ]] || tell "the proposer has touched what is not its own, which is put back: $(paste -sd' ' "$CALL/touched")"
}

# take_away_configurations: those of git that were not there, and so could not be made read-only, before any git of ours reads them. Many
# an agent makes one, to commit: that is no reason to reject what it proposes.
take_away_configurations() {
  local path aside
  while IFS= read -r path; do
    [[ -e $path || -L $path ]] || continue
    aside=$RUN/aside/$(date +%Y%m%d-%H%M%S)-$$
    mkdir -p "$aside"
    mv -f -- "$path" "$aside"
    tell "the proposer has made a configuration of git, '$path', which is put aside: '${aside#"$TREE/"}'"
  done <"$CALL/absent"
}

# put_refs_back: of experiments on record, and the chain of records, which only grows; a line for each.
put_refs_back() {
  local ref commit now
  while read -r ref commit; do
    now=$(git rev-parse --quiet --verify "$ref") || now=
    if [[ $ref == "$RECORDS/"* ]]; then
      [[ -z $now ]] || ! git merge-base --is-ancestor "$commit" "$now" 2>/dev/null || continue
    elif [[ $now == "$commit" ]] || ! is_on_record "$commit"; then
      continue
    fi
    git "${DURABLY[@]}" update-ref "$ref" "$commit" 2>/dev/null || : # the object is gone, too: lib/run/git_records.sh
    printf '%s\n' "$ref"
  done <"$CALL/refs"
}
