# The tree of a commit with another train.py, made without an index. Sourced, after current_run.sh.
# shellcheck shell=bash

# tree_with_train COMMIT BLOB: OBJECT is the tree of COMMIT, whose train.py is BLOB.
tree_with_train() {
  local at entries
  mapfile -d '' -t entries < <(git ls-tree -z "$1")
  for at in "${!entries[@]}"; do
    [[ ${entries[at]} != *$'\ttrain.py' ]] || entries[at]="${entries[at]%% *} blob $2"$'\ttrain.py'
  done
  # Of a submodule, or a partial clone, not all objects are here.
  # shellcheck disable=SC2034 # used where this is sourced
  OBJECT=$(git mktree -z --missing < <(printf '%s\0' "${entries[@]}"))
}
