# The checkout of a slot, runs/<tag>/slots/<k>/, in which alone anything trains: the tracked files of one commit as they stand there,
# and links to the folders of the person's tree that LINKS names. Whatever a run has left in it is gone before the next.
# Sourced, after run/current_run.sh.
# shellcheck shell=bash

# slot_git ARGUMENT...: git on the checkout of this slot, which has an index of its own.
slot_git() {
  GIT_INDEX_FILE=$RUN/slots/$SLOT.index git --git-dir="$COMMON_DIR" --work-tree="$RUN/slots/$SLOT" -c core.bare=false \
    -c core.splitIndex=false -c core.sparseCheckout=false "$@"
}

# check_out COMMIT: CHECKOUT is a folder with exactly the files of that commit, and the links.
check_out() {
  CHECKOUT=$RUN/slots/$SLOT
  [[ ! -e $RUN/slots/$SLOT.index.lock ]] || rm -f "$RUN/slots/$SLOT.index.lock" # of a git that was killed: the slot is ours
  [[ ! -L $CHECKOUT ]] || rm -f "$CHECKOUT"                                     # what it leads to is not ours to clean
  if ! { [[ -d $CHECKOUT ]] && unlink_submodules && fill "$1"; } 2>/dev/null; then
    # A run may have left what git cannot remove, or a power cut half an index.
    chmod -R u+rwX "$CHECKOUT" 2>/dev/null || :
    rm -rf "$CHECKOUT" "$RUN/slots/$SLOT.index"
    mkdir -p "$CHECKOUT"
    fill "$1"
  fi
  link_folders
  link_submodules "$1"
}

# fill COMMIT: by difference: what is as it should be is not written again.
fill() {
  slot_git read-tree --reset -u "$1" && slot_git clean -ffdxq # && since errexit is off in a condition
}

# link_folders: of the person's tree: data that no commit has.
link_folders() {
  local name names
  read -ra names <<<"${LINKS:-}"
  for name in "${names[@]}"; do
    name=${name%/}
    [[ -e $TREE/$name ]] || continue
    [[ $name != */* ]] || mkdir -p "$CHECKOUT/${name%/*}"
    [[ -e $CHECKOUT/$name || -L $CHECKOUT/$name ]] || ln -s "$TREE/$name" "$CHECKOUT/$name"
  done
}

# link_submodules COMMIT: git makes an empty folder of each.
link_submodules() {
  local path
  [[ -e $CHECKOUT/.gitmodules ]] || return 0
  while IFS= read -r path; do
    [[ -d $TREE/$path && ! -L $CHECKOUT/$path ]] || continue
    rmdir "$CHECKOUT/$path" 2>/dev/null || continue
    ln -s "$TREE/$path" "$CHECKOUT/$path"
  done < <(git ls-tree -r "$1" | sed -n 's/^160000 commit [0-9a-f]*\t//p')
}

unlink_submodules() {
  [[ -e $CHECKOUT/.gitmodules ]] || return 0
  find "$CHECKOUT" -type l -lname "$TREE/*" -delete
}

# default_links: the untracked and ignored folders in the root of the tree, but those that are ours, caches, and outputs; a link to
# a folder is one.
default_links() {
  local name
  git -C "$TREE" ls-files --others --directory -z | while IFS= read -r -d '' name; do
    [[ ! -L $TREE/$name || ! -d $TREE/$name ]] || name+=/
    case $name in
      *[[:space:]]* | */*/) ;; # what LINKS cannot name, or lies further down
      runs/ | memory/ | .*/ | *cache*/ | venv/ | env/ | node_modules/ | build/ | dist/ | *.egg-info/) ;;
      logs/ | log/ | outputs/ | output/ | wandb/ | mlruns/ | checkpoints/ | results/ | lightning_logs/) ;;
      */) printf '%s\n' "${name%/}" ;;
      *) ;; # a file
    esac
  done | paste -sd' ' -
}
