# Facts for status that only the shell knows: the holder of the tree, whether a loop is wanted, and what restarts it.
# Sourced, after current_run.sh, tree.sh and restart.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/autostart.sh"

# loop_facts WATCHER: prints NAME=value lines for lab status and lab watch, and an empty line. Costs two processes only.
loop_facts() {
  local alive=no pid='' since='' wanted=no agent='' engine='' name value
  if is_run_held; then
    alive=yes
    read -r _ pid _ since <runs/.lock || : # `pid 7 since 2026-03-14 10:00:00`
  fi
  if is_wanted; then
    wanted=yes
    while IFS='=' read -r name value; do
      case $name in
        AGENT) agent=${value##*/} ;;
        ENGINE) engine=${value##*/} ;;
        *) ;;
      esac
    done <"$RUN/wanted"
  fi 2>/dev/null # the file may disappear meanwhile
  printf '%s\n' "branch=$BRANCH" \
    "alive=$alive" "pid=$pid" "since=$since" "wanted=$wanted" "agent=$agent" "engine=$engine" "watcher=$1" ''
}
