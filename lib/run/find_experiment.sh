# The experiment that a person means. Sourced, after current_run.sh.
# shellcheck shell=bash

# find_experiment WHICH NAME: sets FOUND to its number, commit, parent, category and description; 17, #17 or the beginning of
# a commit will do. NAME is the setting that a person gives it by.
find_experiment() {
  local facts call="make ${0##*/} $2=1"
  [[ $2 != [AB] ]] || call='make compare A=1 B=1'
  [[ -n $1 ]] || die "$2 is not given: which experiment" "say its number, or the beginning of its commit: $call"
  facts=$("$LAB" find-experiment "$RUN" -- "$1") || exit 2
  mapfile -t FOUND <<<"$facts"
  [[ -z ${FOUND[1]} ]] || git cat-file -e "${FOUND[1]}^{commit}" 2>/dev/null ||
    die "the commit of experiment #${FOUND[0]} is not in this repository: '${FOUND[1]}'" "fetch refs/experiments/$TAG/* from where it ran"
}

COLOUR=never
[[ ! -t 1 || -n ${NO_COLOR:-} || ${TERM:-dumb} == dumb ]] || COLOUR=always

# diff_of COMMIT COMMIT: of what is editable, coloured where it is read by a person.
diff_of() { specs && git diff --no-ext-diff --no-textconv --color="$COLOUR" "$1" "$2" -- "${SPECS[@]}"; }
