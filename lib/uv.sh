# Installs uv and the project's environment. Sourced by verbs that may be the first one a person runs.
# shellcheck shell=bash

readonly UV_VERSION=0.13.9

# avoid_read_only_cache: in a sandbox with a read-only uv cache, uv uses a temporary cache for each call.
avoid_read_only_cache() {
  local folder=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
  [[ $folder == /* ]] || folder=$PWD/$folder
  until [[ -e ${folder:-/} ]]; do folder=${folder%/*}; done
  [[ -w ${folder:-/} ]] || export UV_NO_CACHE=1
}

# bring_uv: puts uv on PATH: the person's, or else our own in .uv.
bring_uv() {
  avoid_read_only_cache
  if command -v uv >/dev/null; then
    return
  fi
  export PATH=$TREE/.uv/bin:$PATH
  if [[ -x $TREE/.uv/bin/uv ]]; then
    return
  fi
  say "installing uv $UV_VERSION into .uv"
  command -v python3 >/dev/null || die "'python3' is not on PATH" 'install Python 3.10 or later, with pip'
  local new=$TREE/.uv.$$ # another verb may be installing it, too
  # Into a plain folder first: Debian's python3 may lack venv or pip, so try both.
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
  python3 -E -m pip install --quiet --target "$new" "uv==$UV_VERSION" >&2 ||
    { python3 -E -m venv --clear "$new" >&2 && "$new/bin/pip" install --quiet "uv==$UV_VERSION" >&2; } ||
    { rm -rf "$new" && die 'cannot install uv' 'install uv yourself and put it on PATH, or install pip for python3'; }
  # By rename: a broken download must not look like uv.
  mv -T "$new" "$TREE/.uv" 2>/dev/null || rm -rf "$new"
}

# bring_env: syncs the environment with pyproject.toml, once per version of that file, and never during a run. An
# environment that a person synced is accepted. VENV/without-torch: PyTorch was left out, since no file imports it.
bring_env() {
  local synced=$VENV/synced-pyproject.toml lab=$VENV/bin/lab
  bring_uv
  [[ ! -e $TOOLKIT/.copy ]] || return 0 # the copy of the toolkit uses the tree's environment
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

# refuse_foreign_env: UV_PROJECT_ENVIRONMENT, inherited from a shell, may name the environment of another tree. A sync
# would remove that tree's packages.
refuse_foreign_env() {
  local owner
  owner=$(cat "$VENV/synced-by" 2>/dev/null) || owner=${VENV%/*}
  [[ ! -d $VENV || $owner -ef $TREE || ! -e $owner/pyproject.toml ]] || cmp -s "$owner/pyproject.toml" "$TREE/pyproject.toml" ||
    die "the environment '$VENV' belongs to '$owner', which needs other packages" \
      "use this tree's own environment: unset UV_PROJECT_ENVIRONMENT"
}

# sync_env: uses the pyproject.toml of the tree. A person's own file does not install our core.
sync_env() {
  local options=() quiet=(--quiet)
  [[ ! -t 2 ]] || quiet=() # a progress bar, at a terminal
  [[ -e $TREE/pyproject.toml ]] || die "no 'pyproject.toml' in '$TREE', which lists the packages of train.py" \
    'create one: uv init --bare'
  grep -q '^\[project\]' "$TREE/pyproject.toml" ||
    die "'pyproject.toml' has no [project] section, which lists the packages of train.py" \
      "add one; for an example, in an empty folder: uv init --bare"
  rm -f "$VENV/without-torch"
  if grep -q '^torch = ' "$TREE/pyproject.toml" && ! needs_torch; then
    options=(--no-group torch)
  fi
  say "installing the environment: uv sync$( ((${#options[@]})) || printf ' (PyTorch is large: this takes a while)')"
  (cd "$TREE" && uv sync --project . "${quiet[@]}" "${options[@]}" >&2) || die "'uv sync' failed" \
    'read the messages above; uv needs the network and Python 3.10 or later'
  ((${#options[@]} == 0)) || : >"$VENV/without-torch"
  [[ -x $VENV/bin/lab && ! -e $VENV/core ]] || bring_core
}

# bring_core: installs the core's packages into a folder of their own, apart from the person's packages.
bring_core() {
  rm -rf "$VENV/core"
  grep -q '"ml-experiment-lab"' "$TREE/pyproject.toml" && return # the environment has them
  uv pip install --quiet --python "$VENV" --target "$VENV/core.new" --requirements "$TOOLKIT/lib/pyproject.toml" >&2 ||
    die 'cannot install the packages of the toolkit' 'read the messages above; uv needs the network'
  mv "$VENV/core.new" "$VENV/core"
  printf '#!/bin/sh\nUV_PROJECT_ENVIRONMENT=%q exec %q "$@"\n' "$VENV" "$TOOLKIT/lib/core" >"$VENV/bin/lab"
  chmod +x "$VENV/bin/lab"
}

# needs_torch: whether a file outside of the toolkit imports torch, or git cannot tell.
needs_torch() {
  local status=0
  git -C "$TREE" grep --untracked --quiet -E '^[[:space:]]*(import|from)[[:space:]]([^#]*[^[:alnum:]_])?torch([^[:alnum:]_]|$)' \
    -- '*.py' ':!lib' ':!tests' 2>/dev/null || status=$?
  ((status != 1))
}
