# Resumes a flight after the machine was restarted. Sourced by dispatch.
# shellcheck shell=bash

# after_power_cut: only what 15-carry-over and 20-commit synced is sure to be whole. A flight with a commit is measured
# again, one that was carried over is carried over again, and one without either is dropped.
after_power_cut() {
  local commit
  commit=$(cat "$FLIGHT/commit" 2>/dev/null) || :
  if [[ -z $commit && (-e $FLIGHT/carried || -e $FLIGHT/carried_from) ]]; then
    put "$FLIGHT/done" $'attempt 1\n10-propose'
    put "$FLIGHT/boot" "$BOOT_ID"
    tell 'the machine was restarted: carrying the experiment in flight over again'
  elif [[ -n $commit && $(git rev-parse --quiet --verify "$commit^{commit}") == "$commit" ]]; then # git accepts half a name, from a torn file
    rm -rf "$FLIGHT"/{run.*,mend.*,next,suspect,suspected,summary,carried,carried.new,not_carried}
    put "$FLIGHT/done" $'attempt 1\n10-propose\n15-carry-over'
    put "$FLIGHT/boot" "$BOOT_ID"
    tell 'the machine was restarted: measuring the experiment in flight again'
  elif [[ -e $FLIGHT/edit ]]; then # synced before it came here
    rm -rf "$FLIGHT"/{answered,commit,run.*}
    put "$FLIGHT/done" 'attempt 1'
    put "$FLIGHT/boot" "$BOOT_ID"
  else
    return_candidate
    core drop "$FLIGHT"
    tell 'the machine was restarted: dropping a proposal that was not complete'
    exit 5
  fi
}
