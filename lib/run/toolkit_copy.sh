# A loop runs from a copy of the toolkit in its run, so that a person may edit the tree, or check out another branch, while
# it works. Sourced, after current_run.sh.
# shellcheck shell=bash

readonly PARTS=(bin lib schemas pyproject.toml)

# go_on_in_copy ARGUMENT...: as the same verb, with these arguments, of the copy in runs/<tag>/toolkit/<hash>, which is made where it
# is not there; nothing, where this is the copy.
go_on_in_copy() {
  local sum copy new
  [[ $TOOLKIT == "$TREE" ]] || return 0
  cd "$TOOLKIT" || exit 2
  sum=$(find "${PARTS[@]}" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 cksum | cksum)
  copy=$RUN/toolkit/${sum%% *}
  if [[ ! -e $copy/.copy ]]; then
    new=$copy.$$
    rm -rf "$copy"
    mkdir -p "$new"
    cp -a "${PARTS[@]}" "$new"
    : >"$new/.copy"
    mv "$new" "$copy"
  fi
  cd -- "$CALLED_FROM" || cd "$TREE" || exit 2
  exec "$copy/bin/${0##*/}" "$@"
}

# drop_old_copies: those of earlier loops; whoever holds the tree is the only one that runs from one.
drop_old_copies() {
  local copy
  for copy in "$RUN"/toolkit/*; do
    [[ $copy == "$TOOLKIT" ]] || rm -rf "$copy"
  done
}
