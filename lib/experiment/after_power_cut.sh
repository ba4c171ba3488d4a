# What is left of a flight when the machine was started anew. Sourced by dispatch.
# shellcheck shell=bash

# after_power_cut: of a flight, only what 15-carry-over and 20-commit have synced is sure to be whole. It is measured again, or is
# carried over still; or, without a commit, there was no experiment.
after_power_cut() {
  local commit
  commit=$(cat "$FLIGHT/commit" 2>/dev/null) || :
  if [[ -z $commit && (-e $FLIGHT/carried || -e $FLIGHT/carried_from) ]]; then
    put "$FLIGHT/done" $'attempt 1\n10-propose'
    put "$FLIGHT/boot" "$BOOT_ID"
    tell 'the machine was started anew: the experiment in flight is carried over again'
  elif [[ -n $commit && $(git rev-parse --quiet --verify "$commit^{commit}") == "$commit" ]]; then # half a name is one to git, too
    rm -rf "$FLIGHT"/{run.*,mend.*,next,suspect,suspected,summary,carried,carried.new,not_carried}
    put "$FLIGHT/done" $'attempt 1\n10-propose\n15-carry-over'
    put "$FLIGHT/boot" "$BOOT_ID"
    tell 'the machine was started anew: the experiment in flight is measured again'
  elif [[ -e $FLIGHT/edit ]]; then # which was synced before it came here
    rm -rf "$FLIGHT"/{answered,commit,run.*}
    put "$FLIGHT/done" 'attempt 1'
    put "$FLIGHT/boot" "$BOOT_ID"
  else
    return_candidate
    core drop "$FLIGHT"
    tell 'the machine was started anew: there was no experiment in flight yet'
    exit 5
  fi
}
