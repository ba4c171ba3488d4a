# Bring uv and the project's one environment. Sourced by the verbs that may be the first that a person ever types.
# shellcheck shell=bash

readonly UV_VERSION=0.13.9

# spare_cache: where a sandbox keeps uv's cache read only, uv makes a temporary one for each call.
spare_cache() {
  local folder=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
  [[ $folder == /* ]] || folder=$PWD/$folder
  until [[ -e ${folder:-/} ]]; do folder=${folder%/*}; done
  [[ -w ${folder:-/} ]] || export UV_NO_CACHE=1
}

# bring_uv: puts a uv on PATH: the person's own, else one of ours in .uv.
bring_uv() {
  spare_cache
  if command -v uv >/dev/null; then
    return
  fi
  export PATH=$TREE/.uv/bin:$PATH
  if [[ -x $TREE/.uv/bin/uv ]]; then
    return
  fi
  say "bringing uv $UV_VERSION into .uv"
  command -v python3 >/dev/null || die "'python3' is not on PATH" 'install Python 3.10 or later, with pip'
  local new=$TREE/.uv.$$ # another verb may be at it, too
  # Into a plain folder: Debian's python3 has pip without venv as often as venv without pip, so either will do.
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
  python3 -E -m pip install --quiet --target "$new" "uv==$UV_VERSION" >&2 ||
    { python3 -E -m venv --clear "$new" >&2 && "$new/bin/pip" install --quiet "uv==$UV_VERSION" >&2; } ||
    { rm -rf "$new" && die 'uv could not be installed' 'install it yourself and put it on PATH, or give python3 a working pip'; }
  # Whole or not there: a broken download leaves nothing that looks like uv.
  mv -T "$new" "$TREE/.uv" 2>/dev/null || rm -rf "$new"
}

# bring_env: the environment of pyproject.toml, synced once for each version of that file, and never during a run. What
# a person has synced by hand is taken as it is. VENV/without-torch says that PyTorch was not brought, since nothing imports it.
bring_env() {
  local synced=$VENV/synced-pyproject.toml lab=$VENV/bin/lab
  bring_uv
  [[ ! -e $TOOLKIT/.copy ]] || return 0 # a copy runs with what the tree has brought
  if [[ -x $lab && ! -e $synced && ! $TREE/pyproject.toml -nt $lab ]]; then
    cp "$TREE/pyproject.toml" "$synced"
  fi
  if [[ -x $lab ]] && cmp -s "$TREE/pyproject.toml" "$synced" && ! { [[ -e $VENV/without-torch ]] && needs_torch; }; then
    return
  fi
  refuse_foreign_env
  sync_env
  cp "$TREE/pyproject.toml" "$synced"
  printf '%s\n' "$TREE" >"$VENV/synced-by"
}

# refuse_foreign_env: UV_PROJECT_ENVIRONMENT may name the environment of another tree, from a shell that this one was started in: a sync
# would remove the packages of that tree.
refuse_foreign_env() {
  local owner
  owner=$(cat "$VENV/synced-by" 2>/dev/null) || owner=${VENV%/*}
  [[ ! -d $VENV || $owner -ef $TREE || ! -e $owner/pyproject.toml ]] || cmp -s "$owner/pyproject.toml" "$TREE/pyproject.toml" ||
    die "the environment '$VENV' belongs to '$owner', which needs other packages" \
      "use this tree's own environment, and then the same again: unset UV_PROJECT_ENVIRONMENT"
}

# sync_env: by a pyproject.toml of the toolkit's, or of a person's; theirs does not bring our core.
sync_env() {
  local options=() quiet=(--quiet)
  [[ ! -t 2 ]] || quiet=() # at a terminal it draws a bar for what it downloads
  [[ -e $TREE/pyproject.toml ]] || die "no 'pyproject.toml' in '$TREE': uv would not know what train.py needs" 'uv init --bare'
  grep -q '^\[project\]' "$TREE/pyproject.toml" ||
    die "'pyproject.toml' has no [project], by which uv knows what train.py needs" "give it one: uv init --bare in an empty folder shows how; or take the toolkit's"
  rm -f "$VENV/without-torch"
  if grep -q '^torch = ' "$TREE/pyproject.toml" && ! needs_torch; then
    options=(--no-group torch)
  fi
  say "bringing the environment: uv sync$( ((${#options[@]})) || printf ' (PyTorch is large: the first time takes a while)')"
  (cd "$TREE" && uv sync --project . "${quiet[@]}" "${options[@]}" >&2) || die "'uv sync' failed" 'the lines above say why; it needs the network and Python 3.10 or later'
  ((${#options[@]} == 0)) || : >"$VENV/without-torch"
  [[ -x $VENV/bin/lab && ! -e $VENV/core ]] || bring_core
}

# bring_core: what the core needs, into a folder of its own, so that it meets none of the person's packages.
bring_core() {
  rm -rf "$VENV/core"
  grep -q '"ml-experiment-lab"' "$TREE/pyproject.toml" && return # it is of the environment again
  uv pip install --quiet --python "$VENV" --target "$VENV/core.new" --requirements "$TOOLKIT/lib/pyproject.toml" >&2 ||
    die 'what the toolkit itself needs could not be installed' 'the lines above say why; it needs the network'
  mv "$VENV/core.new" "$VENV/core"
  printf '#!/bin/sh\nUV_PROJECT_ENVIRONMENT=%q exec %q "$@"\n' "$VENV" "$TOOLKIT/lib/core" >"$VENV/bin/lab"
  chmod +x "$VENV/bin/lab"
}

# needs_torch: whether a file of the tree imports it, but those of the toolkit's; or nobody can say.
needs_torch() {
  local status=0
  git -C "$TREE" grep --untracked --quiet -E '^[[:space:]]*(import|from)[[:space:]]([^#]*[^[:alnum:]_])?torch([^[:alnum:]_]|$)' \
    -- '*.py' ':!lib' ':!tests' 2>/dev/null || status=$?
  ((status != 1))
}
