# Bring uv and the project's one environment. Sourced by the verbs that may be the first that a person ever types.
# shellcheck shell=bash

readonly UV_VERSION=0.13.9

# bring_uv: puts a uv on PATH: the person's own, else one of ours in .uv.
bring_uv() {
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
# a person has synced by hand is taken as it is.
bring_env() {
  local synced=$VENV/synced-pyproject.toml lab=$VENV/bin/lab
  bring_uv
  [[ $TOOLKIT == "$TREE" ]] || return 0 # a copy runs with what the tree has brought
  if [[ -x $lab && ! -e $synced && ! $TOOLKIT/pyproject.toml -nt $lab ]]; then
    cp "$TOOLKIT/pyproject.toml" "$synced"
  fi
  if [[ -x $lab ]] && cmp -s "$TOOLKIT/pyproject.toml" "$synced"; then
    return
  fi
  say "bringing the environment: uv sync (PyTorch is large: the first time takes a while)"
  (cd "$TOOLKIT" && uv sync --quiet >&2) || die "'uv sync' failed" 'the lines above say why; it needs the network and Python 3.10 or later'
  cp "$TOOLKIT/pyproject.toml" "$synced"
}
