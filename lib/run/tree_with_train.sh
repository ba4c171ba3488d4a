# Makes the git tree of a commit with another train.py, without an index. Sourced, after current_run.sh.
# shellcheck shell=bash

# tree_with_train COMMIT BLOB: sets OBJECT to the tree of COMMIT with BLOB as train.py.
tree_with_train() {
  local at entries
  read_all entries git ls-tree -z "$1"
  for at in "${!entries[@]}"; do
    [[ ${entries[at]} != *$'\ttrain.py' ]] || entries[at]="${entries[at]%% *} blob $2"$'\ttrain.py'
  done
  # --missing: objects of submodules and partial clones may not be here.
  # shellcheck disable=SC2034 # used where this is sourced
  OBJECT=$(git mktree -z --missing < <(printf '%s\0' "${entries[@]}"))
}
