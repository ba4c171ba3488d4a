# A loop runs from a copy of the toolkit in its run, so that a person may edit the tree, or check out another branch,
# while it works. Sourced, after current_run.sh.
# shellcheck shell=bash

readonly PARTS=(bin lib schemas pyproject.toml)

# go_on_in_copy ARGUMENT...: continues as the same verb in the copy runs/<tag>/toolkit/<hash>, with these arguments. Makes
# the copy if it is missing. Returns if this process runs from the copy already. Only one process at a time makes one,
# because the process that then holds the tree deletes all other copies.
go_on_in_copy() {
  local copy making
  [[ ! -e $TOOLKIT/.copy ]] || return 0
  copy=$RUN/toolkit/$(sum_of "$TOOLKIT")
  mkdir -p "$RUN/toolkit"
  exec {making}<"$RUN/toolkit"
  lock "$making" 60 || die "another process of run '$TAG' is copying the toolkit and does not finish" \
    'see which loop runs: make status'
  if ! is_whole "$copy"; then
    rm -rf "$copy" "$copy.new"
    mkdir "$copy.new"
    (cd "$TOOLKIT" && cp -a "${PARTS[@]}" "$copy.new")
    printf '%s\n' "$ADOPTED_BY" >"$copy.new/.copy"
    mv -T "$copy.new" "$copy"
  fi
  exec {making}<&-
  cd -- "$CALLED_FROM" || cd "$TREE" || exit 2
  exec "$copy/bin/${0##*/}" "$@"
}

# sum_of FOLDER: prints a checksum of the toolkit in FOLDER.
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
