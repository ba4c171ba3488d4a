# The checkout of a slot, runs/<tag>/slots/<k>/. Everything trains there. It has exactly the tracked files of one
# commit, and links to the folders of the person's tree that LINKS names. The next run finds nothing that an earlier run
# left. Sourced, after run/current_run.sh.
# shellcheck shell=bash

# slot_git ARGUMENT...: runs git on the checkout of this slot, which has its own index.
slot_git() {
  GIT_INDEX_FILE=$RUN/slots/$SLOT.index git --git-dir="$COMMON_DIR" --work-tree="$RUN/slots/$SLOT" -c core.bare=false \
    -c core.splitIndex=false -c core.sparseCheckout=false "$@"
}

# check_out COMMIT: makes CHECKOUT a folder with exactly the files of that commit, and the links.
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

# fill COMMIT: writes only the files that differ.
fill() {
  slot_git read-tree --reset -u "$1" && slot_git clean -ffdxq # && since errexit is off in a condition
}

# link_folders: links data folders of the person's tree, which no commit has.
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

# link_submodules COMMIT: replaces the empty folder that git makes of each submodule by a link.
link_submodules() {
  local path paths
  [[ -e $CHECKOUT/.gitmodules ]] || return 0
  paths=$(submodules_of "$1")
  while IFS= read -r path; do
    [[ -n $path && -d $TREE/$path && ! -L $CHECKOUT/$path ]] || continue
    rmdir "$CHECKOUT/$path" 2>/dev/null || continue
    ln -s "$TREE/$path" "$CHECKOUT/$path"
  done <<<"$paths"
}

unlink_submodules() {
  [[ -e $CHECKOUT/.gitmodules ]] || return 0
  find "$CHECKOUT" -type l -lname "$TREE/*" -delete
}

# default_links: prints the untracked and ignored folders in the root of the tree, without ours, caches and outputs. A
# link to a folder counts as a folder.
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
