# Finds the experiment that a person names. Sourced, after current_run.sh.
# shellcheck shell=bash

# find_experiment WHICH NAME: sets FOUND to number, commit, parent, category and description. WHICH is 17, #17, or a
# prefix of a commit. NAME is the setting that holds it.
find_experiment() {
  local facts call="make ${0##*/} $2=1"
  [[ $2 != [AB] ]] || call='make compare A=1 B=1'
  [[ -n $1 ]] || die "$2 is missing: no experiment given" "give a number or a prefix of a commit: $call"
  facts=$("$LAB" find-experiment "$RUN" -- "$1") || exit 2
  mapfile -t FOUND <<<"$facts"
  [[ -z ${FOUND[1]} ]] || git cat-file -e "${FOUND[1]}^{commit}" 2>/dev/null ||
    die "the commit of experiment #${FOUND[0]} is not in this repository: '${FOUND[1]}'" \
      "fetch it from the repository where the run was made: git fetch <repository> 'refs/experiments/$TAG/*:refs/experiments/$TAG/*'"
}

COLOUR=never
[[ ! -t 1 || -n ${NO_COLOR:-} || ${TERM:-dumb} == dumb ]] || COLOUR=always

# diff_of COMMIT COMMIT: prints the diff of the editable files, in color on a terminal.
diff_of() { specs && git diff --no-ext-diff --no-textconv --color="$COLOUR" "$1" "$2" -- "${SPECS[@]}"; }
