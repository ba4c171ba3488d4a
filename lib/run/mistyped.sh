# Mistyped words are reported with the nearest known one. Sourced, after common.sh.
# shellcheck shell=bash

# nearest WORD CANDIDATE...: prints the candidate that WORD most likely means; nothing if none is near. Letters in
# another order count as near, and so does another case.
nearest() {
  "$LAB_PYTHON" -I -S - "$@" <<'END'
import difflib
import sys

word, known = sys.argv[1].upper(), {one.upper(): one for one in sys.argv[2:]}
same = [one for one in known if sorted(one) == sorted(word)]
print(*[known[one] for one in same or difflib.get_close_matches(word, known, n=1, cutoff=0.7)][:1])
END
}

# did_you_mean WORD CANDIDATE...: prints the end of a message about an unknown WORD.
did_you_mean() {
  local found
  found=$(nearest "$@")
  [[ -z $found ]] || printf ": did you mean '%s'?" "$found"
}

# known_settings: prints the settings that the verbs' help and the schema name, one per line.
known_settings() {
  sed -nE '/^# Settings: /,/^(# (Exit|Example)|[^#]|#$)/{/^# (Exit|Example)/d;s/\([^)]*\)//g;s/^# Settings://;/^#? [A-Z]/p}' "$TOOLKIT"/bin/* | grep -oE '\b[A-Z][A-Z0-9_]*\b'
  sed -nE 's/^ *"([A-Z][A-Z0-9_]*)": .*/\1/p' "$TOOLKIT/schemas/settings.schema.json"
}

# refuse_mistyped NAME...: refuses a variable on make's command line that is close to a setting, but is none. Others are
# passed on: training may read them.
refuse_mistyped() {
  local name found known verb=${0##*/}
  [[ $verb != experiment ]] || verb=once
  mapfile -t known < <(known_settings)
  for name; do
    [[ $'\n'$(printf '%s\n' DIR "${known[@]}")$'\n' != *$'\n'"$name"$'\n'* ]] || continue
    found=$(nearest "$name" "${known[@]}")
    [[ -z $found ]] ||
      die "there is no setting '$name': did you mean '$found'?" "make $verb $found=$(printf '%q' "${!name}")"
  done
}
