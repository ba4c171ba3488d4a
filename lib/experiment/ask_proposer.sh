# Asks a proposer. Sourced, after child/run_child.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/api_keys.sh"
source "$TOOLKIT/lib/experiment/places.sh"
source "$TOOLKIT/lib/experiment/proposer_limits.sh"
source "$TOOLKIT/lib/experiment/bring_back.sh"

readonly CALL=$FLIGHT/call # the RUN_DIR of the call: limited and ended like a training run
readonly ENGINE_HERE=$TOOLKIT/lib/child/engines/local
readonly MOST_WANTED=8 # candidates of one call
# Tracked files that the proposer does not get: the toolkit, which also shows how each rule is enforced, and the
# instructions for an agent that runs experiments.
readonly LEFT_OUT=(/bin/ /lib/ /schemas/ /tests/ /docs/ /AGENTS.md /CLAUDE.md /GEMINI.md /.claude/ /.agents/)

# take_call: takes one of PROPOSERS places while this process lives; FLIGHT/want is the number of candidates to ask for.
# Fails if the proposer must not be asked now, or if candidates exist or are on their way.
take_call() {
  may_call && take_place "$RUN/calls" "$PROPOSERS" may_call || return
  note_want && may_call && return
  exec 8>&-
  return 1
}

may_call() { may_ask && ! has_candidates; }

# may_ask: whether no `not now` and no recent failure forbids it. A time far in the future means that the clock was set
# back.
may_ask() {
  local told now
  read -r told 2>/dev/null <"$RUN/not-before" || return 0
  printf -v now '%(%s)T' -1
  ((told <= now || told - now > LONGEST_WAIT_S))
}

# note_want: sets FLIGHT/want to this call's share of the flights that need a proposal, or to LAB_WANT. Fails if no more
# are needed.
note_want() {
  local folder places=${LAB_PLACES:-1} left=$PROPOSERS status=1
  exec 4<>"$RUN/calls/want.lock"
  until run_child "${LOCK[@]}" 5 4; do
    goes_on may_call || return
  done
  for folder in "$RUN"/flights/f*[0-9]; do
    [[ $folder == "$FLIGHT" ]] || ! has_proposal "$folder" || places=$((places - 1))
  done
  subtract_promised
  if ((places > 0)); then
    ((left > 0)) || left=1
    put "$FLIGHT/want" "$(want_of $(((places + left - 1) / left)))"
    put "$RUN/calls/$PLACE.want" "${FLIGHT##*/} $(<"$FLIGHT/want")"
    status=0
  fi
  exec 4>&-
  return "$status"
}

# subtract_promised: subtracts from `places` and `left` what calls in progress were asked for.
subtract_promised() {
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

# want_of SHARE: prints the number to ask for: LAB_WANT, or else the share. It is 1 for a proposer that edits one file
# in place, and where candidates/ of several files would meet a tracked folder of that name.
want_of() {
  if [[ $AGENT_PATH == */lib/proposers/aider ]] || { ! is_one_file && has_file "$(<"$FLIGHT/parent")" candidates; }; then
    printf 1
  elif ((LAB_WANT > 0)); then
    printf '%s' "$LAB_WANT"
  else
    printf '%s' $(($1 < MOST_WANTED ? $1 : MOST_WANTED))
  fi
}

# call_proposer MODE COMMIT FOLDER: calls the proposer once in a copy of the tree of COMMIT. MODE is `propose`, or
# `mend` after a crash. Reads FOLDER/brief. Writes to FOLDER: agent, said (its stdout), after (the edited files:
# lib/run/editable.sh), changed (`git diff --name-status`), candidates/, usage.json, transcript, and last answered.
# FLIGHT/call is the RUN_DIR, with its stderr. The copy is a repository without a remote, outside of this tree, since an
# agent obeys the instructions in every folder above it. The proposer reads and writes in the scratch only; FOLDER is
# hidden from it. When it has ended, editable files come back as plain files. What changed is judged by this tree's git,
# not by the exit status: real agents exit 0 after a refusal or a 401.
call_proposer() {
  local MODE=$1 COMMIT=$2 FOLDER=$3
  end_earlier
  note "$FOLDER/agent" "${AGENT_PATH##*/}"
  random_id # an unpredictable folder name, which nobody can create first
  scratch=${TMPDIR:-/tmp}/autoresearch-$RANDOM_ID
  trap 'rm -rf "$scratch"' EXIT
  note "$FLIGHT/scratch" "$scratch" # first, so that a kill leaves no unknown folder
  copy_tree
  take_keys
  ask
  exit_if_stopped
  bring_back
  rm -rf "$scratch"
  trap - EXIT
  # Last: a flight with `answered` is not asked again. A call that was stopped from outside has no rc.
  [[ ! -e $CALL/rc ]] || : >"$FOLDER/answered"
}

# end_earlier: ends the proposer of an interrupted call, and removes its copy.
end_earlier() {
  local earlier
  [[ -e $FLIGHT/scratch ]] || return 0
  [[ ! -d $CALL ]] || "$ENGINE_HERE" --cancel "$CALL"
  read -r earlier <"$FLIGHT/scratch" || earlier= # empty after a full disk
  [[ $earlier == */autoresearch-????????-????-????-????-???????????? ]] || earlier=$CALL
  rm -rf "$earlier" "$CALL" "$FOLDER/after" "$FOLDER/usage.json" "$FOLDER/transcript" "$FOLDER/candidates"
}

# copy_tree: checks out the commit with its history; git objects are shared, not copied. Files that are left out do not
# count as changed (skip-worktree).
copy_tree() {
  local git=$scratch/tree/.git
  (umask 077 && mkdir -p "$scratch/tmp" "$git/objects/info" "$git/refs/heads" "$git/info" "$CALL")
  printf '%s\n' "$COMMON_DIR/objects" >"$git/objects/info/alternates"
  printf 'ref: refs/heads/main\n' >"$git/HEAD"
  printf '%s\n' "$COMMIT" >"$git/refs/heads/main"
  printf '[core]\n\tbare = false\n\trepositoryformatversion = 1\n\tsparseCheckout = true\n' >"$git/config"
  printf '[extensions]\n\tobjectFormat = sha%s\n' $((${#COMMIT} == 40 ? 1 : 256)) >>"$git/config"
  [[ ! -e $COMMON_DIR/shallow ]] || cp "$COMMON_DIR/shallow" "$git/shallow" # where the history ends
  checkout_patterns >"$git/info/sparse-checkout"
  [[ ! -e $COMMON_DIR/info/attributes ]] || cp "$COMMON_DIR/info/attributes" "$git/info/attributes"
  # With this repository's filters (LFS, autocrlf), on a work tree of its own.
  git --git-dir="$git" --work-tree="$scratch/tree" -c include.path="$COMMON_DIR/config" -c core.bare=false \
    -c core.sparseCheckout=true -c core.sparseCheckoutCone=false -c core.splitIndex=false read-tree -m -u "$COMMIT" ||
    die "cannot copy the tree for the proposer to '${TMPDIR:-/tmp}'" \
      "read git's message above; use another folder: TMPDIR=/path make loop"
  cp "$git/index" "$FLIGHT/index"
  give_ideas
}

# give_ideas: writes ideas.md, which comes back after the call (lib/lab/proposal/ideas.py), unless the tree has such a
# file.
give_ideas() {
  local ideas=
  [[ ! -e $FOLDER/ideas.given ]] || rm -f "$FOLDER"/ideas.{given,back}
  [[ ! -e $scratch/tree/ideas.md && $MODE == propose ]] || return 0
  IFS= read -r -d '' ideas 2>/dev/null <"$RUN/ideas.md" || [[ -n $ideas ]] ||
    ideas=$'# Ideas for later: one a line; take out what was tried\n'
  printf '%s' "$ideas" >"$scratch/tree/ideas.md"
  printf '%s' "$ideas" >"$FOLDER/ideas.given"
}

# checkout_patterns: prints the patterns of a sparse checkout. The built-in proposer needs two files. A folder of
# thousands of files is data, which an agent can read with `git show HEAD:data/x`.
checkout_patterns() {
  local large
  if is_ours && is_one_file; then
    printf '%s\n' /train.py /prepare.py /.gitattributes
    return
  fi
  printf '%s\n' '/*'
  [[ -n $ADOPTED_BY ]] || printf '!%s\n' "${LEFT_OUT[@]}" # another repository's lib/ and tests/ are its own
  mapfile -t large <"$RUN/large"                          # lib/run/preflight.sh
  ((${#large[@]} == 0)) || printf '!/%s/\n' "${large[@]}"
}

ask() {
  local want locked=
  printf '%s' "$scratch/tree" >"$CALL/cwd"
  printf '%s' "$AGENT_TIMEOUT" >"$CALL/limit_s"
  { read -r want <"$FOLDER/want"; } 2>/dev/null || want=1
  ((want == 1)) || mkdir -p "$scratch/tree/candidates" # an agent may be unable to create the folder
  cp "$FOLDER/brief" "$scratch/brief"
  printf '%s\n' "LAB_BRIEF=$scratch/brief" "LAB_TAG=$TAG" "LAB_MODE=$MODE" "TMPDIR=$scratch/tmp" \
    "LAB_USAGE=$scratch/usage.json" "LAB_TRANSCRIPT=$scratch/transcript" "LAB_EDIT=$FLIGHT/edit" "LAB_WANT=$want" \
    "LAB_EDITABLE=$(files_told)" >"$CALL/env"
  printf 'exec %q <%q >%q' "$AGENT_PATH" "$scratch/brief" "$scratch/said" >"$CALL/cmd"
  rm -f "$CALL"/{confine,touched}
  is_ours || hold
  run_child "$ENGINE_HERE" --inherit "$CALL" || :
  [[ ${LAB_HELD:-no} == bubblewrap ]] || is_ours || locked=$(restore_access)
  [[ -e $CALL/rc ]] || "$ENGINE_HERE" --cancel "$CALL" # the engine was killed, but not the proposer
  exit_if_stopped
  is_ours || look_what_it_touched
  [[ -z $locked ]] || printf '%s\n' "$locked" >>"$CALL/touched"
}
