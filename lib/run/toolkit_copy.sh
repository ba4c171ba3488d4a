# A loop runs from a copy of the toolkit in its run, so that a person may edit the tree, or check out another branch,
# while it works. Sourced, after current_run.sh.
# shellcheck shell=bash

readonly PARTS=(bin lib schemas pyproject.toml)

# go_on_in_copy ARGUMENT...: continues as the same verb, with these arguments, in the copy runs/<tag>/toolkit/<hash>. It
# makes the copy if it is missing, and does nothing if this is the copy.
go_on_in_copy() {
  local copy new
  [[ ! -e $TOOLKIT/.copy ]] || return 0
  copy=$RUN/toolkit/$(sum_of "$TOOLKIT")
  if ! is_whole "$copy"; then
    new=$copy.$$
    rm -rf "$copy"
    mkdir -p "$new"
    (cd "$TOOLKIT" && cp -a "${PARTS[@]}" "$new")
    printf '%s\n' "$ADOPTED_BY" >"$new/.copy"
    mv -T "$new" "$copy" 2>/dev/null || rm -rf "$new" # another one was first
  fi
  cd -- "$CALLED_FROM" || cd "$TREE" || exit 2
  exec "$copy/bin/${0##*/}" "$@"
}

# sum_of FOLDER: of the toolkit there.
sum_of() {
  local sum
  sum=$(cd "$1" && find "${PARTS[@]}" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 cksum | cksum)
  printf '%s' "${sum%% *}"
}

# is_whole COPY: whether its content matches the checksum in its name. A power cut may have left it incomplete.
is_whole() { [[ -e $1/.copy && $(sum_of "$1" 2>/dev/null) == "${1##*/}" ]]; }

# drop_old_copies: deletes the copies of earlier loops. Only the loop that holds the tree runs from a copy.
drop_old_copies() {
  local copy
  for copy in "$RUN"/toolkit/*; do
    [[ $copy == "$TOOLKIT" ]] || rm -rf "$copy"
  done
}
