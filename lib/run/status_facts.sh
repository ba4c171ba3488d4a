# What only a shell knows of the run that is open: who holds the tree, what is wanted, who looks after it. Sourced, after
# current_run.sh, tree.sh and restart.sh.
# shellcheck shell=bash

source "$TOOLKIT/lib/run/autostart.sh"

# loop_facts WATCHER: NAME=value lines for lab status and lab watch, and an empty one; two processes, for it is asked often.
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
  fi 2>/dev/null # it may be taken away in between
  printf '%s\n' "branch=$BRANCH" "alive=$alive" "pid=$pid" "since=$since" "wanted=$wanted" "agent=$agent" "engine=$engine" "watcher=$1" ''
}
