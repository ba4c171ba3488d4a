# What comes back from the scratch of a proposer that has ended. Sourced by ask_proposer.sh, whose FOLDER and scratch this uses.
# shellcheck shell=bash

# bring_back: what it has said, and its train.py, and so many further candidates as it was asked for.
bring_back() {
  : >"$FOLDER/said"
  : >"$FOLDER/changed"
  [[ ! -L $scratch && ! -L $scratch/tree ]] || return 0 # it has made another folder of it
  bring_file said "$FOLDER/said" "$LARGEST"
  bring_file usage.json "$FOLDER/usage.json" "$LARGEST"
  bring_file transcript "$FOLDER/transcript" "$LONGEST"
  bring_file tree/train.py "$FOLDER/train.py" $((LARGEST + 1)) # one byte more than may be shows that it is too large
  [[ ! -e $FOLDER/ideas.given ]] || bring_file tree/ideas.md "$FOLDER/ideas.back" 20000
  [[ ! -s $FOLDER/want || ! -d $scratch/tree/candidates || -L $scratch/tree/candidates ]] || bring_candidates "$(<"$FOLDER/want")"
  GIT_INDEX_FILE=$FLIGHT/index git -c core.fileMode=false --work-tree="$scratch/tree" \
    diff --no-ext-diff --no-renames --name-status >"$FOLDER/changed"
  [[ ! -s $CALL/touched ]] || sed 's/^/M\t/' "$CALL/touched" >>"$FOLDER/changed"
}

# bring_file NAME TARGET MOST: a plain file of the scratch, so many bytes at most: never through a link, nor out of a pipe.
bring_file() { [[ ! -f $scratch/$1 || -L $scratch/$1 ]] || head -c "$3" -- "$scratch/$1" >"$2"; }

# bring_candidates COUNT: the new files in candidates/, so many at most.
bring_candidates() {
  local path left=0
  mkdir -p "$FOLDER/candidates"
  while IFS= read -r -d '' path; do
    [[ -f $scratch/tree/$path && ! -L $scratch/tree/$path ]] || continue
    if ((left++ < $1)); then
      head -c $((LARGEST + 1)) -- "$scratch/tree/$path" >"$FOLDER/candidates/${path##*/}"
    else
      tell "left out, for $1 were asked for: '${path//[[:cntrl:]]/?}'"
    fi
  done < <(GIT_INDEX_FILE=$FLIGHT/index git --work-tree="$scratch/tree" ls-files --others -z -- ':(glob)candidates/*.py')
}
