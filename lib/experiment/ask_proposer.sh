# Asking a proposer. Sourced, after child/run_child.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/api_keys.sh"
source "$TOOLKIT/lib/experiment/places.sh"
source "$TOOLKIT/lib/experiment/hold_proposer.sh"
source "$TOOLKIT/lib/experiment/bring_back.sh"

readonly CALL=$FLIGHT/call # the RUN_DIR of the call: a proposer is limited and ended just as a training run is
readonly ENGINE_HERE=$TOOLKIT/lib/child/engines/local
readonly MOST_WANTED=8    # candidates of one call
# What is not copied, though the commit has it: the toolkit, for it is no part of the task, and says of each rule how it is
# enforced; and what tells a person's agent how to run experiments: one that makes a single edit would obey it.
readonly LEFT_OUT=(/bin/ /lib/ /schemas/ /tests/ /docs/ /AGENTS.md /CLAUDE.md /GEMINI.md /.claude/ /.agents/)

# take_call: one of PROPOSERS places, for as long as this process lives; FLIGHT/want is how many candidates are asked for. Fails where
# the proposer is not to be asked now, where candidates are there, or where the calls in the making will bring enough of them.
take_call() {
  may_call && take_place "$RUN/calls" "$PROPOSERS" may_call || return
  note_want && may_call && return
  exec 8>&-
  return 1
}

may_call() { may_ask && ! has_candidates; }

# may_ask: whether the proposer has not said `not now`, nor failed just now. A time that is far away is of before the clock was set back.
may_ask() {
  local told now
  read -r told 2>/dev/null <"$RUN/not-before" || return 0
  printf -v now '%(%s)T' -1
  ((told <= now || told - now > LONGEST_WAIT_S))
}

# note_want: as many as there are flights without a proposal, less those that the calls in the making are asked for, divided by the
# calls that may still be made beside them; or LAB_WANT. Fails where no more are wanted.
note_want() {
  local folder places=${LAB_PLACES:-1} left=$PROPOSERS status=1
  exec 4<>"$RUN/calls/want.lock"
  until run_child "${LOCK[@]}" 5 4; do
    goes_on may_call || return
  done
  for folder in "$RUN"/flights/f*[0-9]; do
    [[ $folder == "$FLIGHT" ]] || ! has_proposal "$folder" || places=$((places - 1))
  done
  take_away_promised
  if ((places > 0)); then
    ((left > 0)) || left=1
    put "$FLIGHT/want" "$(want_of $(((places + left - 1) / left)))"
    put "$RUN/calls/$PLACE.want" "${FLIGHT##*/} $(<"$FLIGHT/want")"
    status=0
  fi
  exec 4>&-
  return "$status"
}

# take_away_promised: from `places` and `left`, what calls in the making have been asked for: those whose place is held.
take_away_promised() {
  local place free id want
  core free_places "$RUN/calls" free.want
  mapfile -t free <"$RUN/calls/free.want"
  for ((place = 0; place < PROPOSERS; place++)); do
    [[ $place != "$PLACE" && " ${free[*]} " != *" $place "* ]] || continue
    read -r id want 2>/dev/null <"$RUN/calls/$place.want" || continue
    [[ -e $RUN/flights/$id ]] || continue
    ! has_proposal "$RUN/flights/$id" || continue
    places=$((places - want)) left=$((left - 1))
  done
}

has_proposal() { [[ -e $1/answered || -e $1/commit || -e $1/edit ]] || holds_candidate "$1"; }

# want_of SHARE: what is asked for: what somebody has set, else the share; of a proposer that has one file to edit, and where a candidate is
# more than one file, one.
want_of() {
  if [[ $AGENT_PATH == */lib/proposers/aider ]] || ! is_one_file; then
    printf 1
  elif ((LAB_WANT > 0)); then
    printf '%s' "$LAB_WANT"
  else
    printf '%s' $(($1 < MOST_WANTED ? $1 : MOST_WANTED))
  fi
}

# call_proposer MODE COMMIT FOLDER: lets the proposer edit a copy of the tree of COMMIT once; MODE is what it is asked for: `propose`,
# or `mend` after a crash. Reads FOLDER/brief; writes to FOLDER agent, said (its stdout), after, what came back that can be
# read (lib/run/editable.sh), changed, a line for each tracked file that it changed (`git diff --name-status`), candidates/, the further ones, and last
# answered. What it took and what it did, usage.json and transcript, come with it. FLIGHT/call is the RUN_DIR, with its stderr.
#
# The copy is a repository of its own without a remote, outside of this tree (an agent obeys the instructions of every
# folder above it). All that a proposer is to read or write lies in its scratch, for FOLDER is hidden from it; what comes back is copied
# when it has ended, as plain files, and only what is editable of the copy. What was changed is judged, by this tree's git, which the
# proposer cannot reach; how it exits says nothing (real agents exit 0 after a refusal, or a 401).
call_proposer() {
  local MODE=$1 COMMIT=$2 FOLDER=$3
  end_earlier
  note "$FOLDER/agent" "${AGENT_PATH##*/}"
  random_id # so that nobody can make that folder before us
  scratch=${TMPDIR:-/tmp}/autoresearch-$RANDOM_ID
  trap 'rm -rf "$scratch"' EXIT
  note "$FLIGHT/scratch" "$scratch" # before it is there: a kill in between would leave it for ever
  copy_tree
  take_keys
  ask
  exit_if_stopped
  bring_back
  rm -rf "$scratch"
  trap - EXIT
  # Not before, for who has it does not come back here, and would leave the copy; and not of a call that was stopped from outside.
  [[ ! -e $CALL/rc ]] || : >"$FOLDER/answered"
}

# end_earlier: an interrupted call has left its proposer running, or its copy on the disk.
end_earlier() {
  local earlier
  [[ -e $FLIGHT/scratch ]] || return 0
  [[ ! -d $CALL ]] || "$ENGINE_HERE" --cancel "$CALL"
  read -r earlier <"$FLIGHT/scratch" || earlier= # a full disk
  [[ $earlier == */autoresearch-????????-????-????-????-???????????? ]] || earlier=$CALL
  rm -rf "$earlier" "$CALL" "$FOLDER/train.py" "$FOLDER/after" "$FOLDER/usage.json" "$FOLDER/transcript" "$FOLDER/candidates"
}

# copy_tree: the commit's files and its history, with the objects borrowed from here: nothing is written twice. To git, what is
# left out is not changed (skip-worktree).
copy_tree() {
  local git=$scratch/tree/.git
  (umask 077 && mkdir -p "$scratch/tmp" "$git/objects/info" "$git/refs/heads" "$git/info" "$CALL")
  printf '%s\n' "$COMMON_DIR/objects" >"$git/objects/info/alternates"
  printf 'ref: refs/heads/main\n' >"$git/HEAD"
  printf '%s\n' "$COMMIT" >"$git/refs/heads/main"
  printf '[core]\n\tbare = false\n\trepositoryformatversion = 1\n\tsparseCheckout = true\n' >"$git/config"
  printf '[extensions]\n\tobjectFormat = sha%s\n' $((${#COMMIT} == 40 ? 1 : 256)) >>"$git/config"
  [[ ! -e $COMMON_DIR/shallow ]] || cp "$COMMON_DIR/shallow" "$git/shallow" # where the history ends
  what_is_copied >"$git/info/sparse-checkout"
  [[ ! -e $COMMON_DIR/info/attributes ]] || cp "$COMMON_DIR/info/attributes" "$git/info/attributes"
  # With the filters that this repository is configured with (LFS, autocrlf), but for a work tree of its own.
  git --git-dir="$git" --work-tree="$scratch/tree" -c include.path="$COMMON_DIR/config" -c core.bare=false \
    -c core.sparseCheckout=true -c core.sparseCheckoutCone=false -c core.splitIndex=false read-tree -m -u "$COMMIT" ||
    die "the copy of the tree for the proposer could not be made in '${TMPDIR:-/tmp}'" 'git says above why; for another folder: TMPDIR=/path/to/it make loop'
  cp "$git/index" "$FLIGHT/index"
  give_ideas
}

# give_ideas: the list for later, which comes back (lib/lab/proposal/ideas.py), unless ideas.md is a file of the person's own.
give_ideas() {
  local ideas=
  [[ ! -e $FOLDER/ideas.given ]] || rm -f "$FOLDER"/ideas.{given,back}
  [[ ! -e $scratch/tree/ideas.md && $MODE == propose ]] || return 0
  IFS= read -r -d '' ideas 2>/dev/null <"$RUN/ideas.md" || [[ -n $ideas ]] ||
    ideas=$'# Ideas for later: one a line; take out what was tried\n'
  printf '%s' "$ideas" >"$scratch/tree/ideas.md"
  printf '%s' "$ideas" >"$FOLDER/ideas.given"
}

# what_is_copied: the patterns of a sparse checkout. What is built in needs two files; a folder of thousands is data, and an agent has it
# from git (`git show HEAD:data/x`).
what_is_copied() {
  local large
  if is_ours && is_one_file; then
    printf '%s\n' /train.py /prepare.py /.gitattributes
    return
  fi
  printf '%s\n' '/*'
  [[ -n $ADOPTED_BY ]] || printf '!%s\n' "${LEFT_OUT[@]}" # of a repository without the toolkit, its own lib/ and tests/
  mapfile -t large <"$RUN/large" # lib/run/preflight.sh
  ((${#large[@]} == 0)) || printf '!/%s/\n' "${large[@]}"
}

ask() {
  local want
  printf '%s' "$scratch/tree" >"$CALL/cwd"
  printf '%s' "$AGENT_TIMEOUT" >"$CALL/limit_s"
  { read -r want <"$FOLDER/want"; } 2>/dev/null || want=1
  ((want == 1)) || mkdir -p "$scratch/tree/candidates" # a CLI that may write in there need not be able to make it
  cp "$FOLDER/brief" "$scratch/brief"
  printf '%s\n' "LAB_BRIEF=$scratch/brief" "LAB_TAG=$TAG" "LAB_MODE=$MODE" "TMPDIR=$scratch/tmp" \
    "LAB_USAGE=$scratch/usage.json" "LAB_TRANSCRIPT=$scratch/transcript" "LAB_EDIT=$FLIGHT/edit" "LAB_WANT=$want" \
    "LAB_EDITABLE=$(files_told)" >"$CALL/env"
  printf 'exec %q <%q >%q' "$AGENT_PATH" "$scratch/brief" "$scratch/said" >"$CALL/cmd"
  rm -f "$CALL"/{confine,touched}
  is_ours || hold
  run_child "$ENGINE_HERE" "$CALL" || :
  [[ -e $CALL/rc ]] || "$ENGINE_HERE" --cancel "$CALL" # whoever killed the engine has left the proposer
  exit_if_stopped
  is_ours || look_what_it_touched
}
