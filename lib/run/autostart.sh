# Who starts the loop of this tree again: its line in the person's crontab, or its timer of systemd. Sourced.
# shellcheck shell=bash

# cron_daemon: the name of the one that is running, as Debian, Fedora and Alpine, and fcron call theirs; fails where none is.
cron_daemon() {
  local pid name
  for pid in $(pids_named 'cron|crond|fcron'); do
    name=$(name_of "$pid") && printf '%s\n' "$name" && return # it may be gone by now
  done
  return 1
}

# entry: the line. cron takes a % for the end of it, unless it is escaped; the shell that reads it is sh.
entry() {
  local path=$TOOLKIT/bin/keepalive
  [[ ! $path$TREE =~ [[:cntrl:]] ]] || die "cron cannot hold the name of this folder: '$TREE'" 'give it another name'
  path=$(quoted "$path")
  [[ -z $ADOPTED_BY ]] || path="AUTORESEARCH_TREE=$(quoted "$TREE") $path"
  printf '* * * * * %s # autoresearch\n' "${path//%/\\%}"
}

# quoted PATH: for sh.
quoted() { if [[ $1 =~ ^[A-Za-z0-9_./-]+$ ]]; then printf '%s' "$1"; else printf "'%s'" "${1//\'/\'\\\'\'}"; fi; }

# hold_crontab: nobody else of ours reads and writes this person's crontab meanwhile: of two that do, one loses its line. Where the home
# cannot be locked, as on some file systems, it is done without.
hold_crontab() {
  [[ -d $HOME && -r $HOME ]] || return 0
  exec 8<"$HOME"
  lock 8 20 2>/dev/null || :
}

# has_line TEXT: whether one of its lines is that of this tree.
has_line() { [[ $'\n'$1$'\n' == *$'\n'"$(entry)"$'\n'* ]]; }

# entries: prints the crontab that there is. A user who has none is no error; whatever else fails must not look like one.
entries() {
  local complaint
  command -v crontab >/dev/null || die "no 'crontab' on PATH" 'install the package cron, or: make service'
  exec 3>&1
  complaint=$(LC_ALL=C crontab -l 2>&1 >&3) || [[ $complaint == *'no crontab for'* ]] ||
    die "the crontab cannot be read: '${complaint:-it does not say why}'" 'see: crontab -l'
  exec 3>&-
}

# timer_name: of this tree's timer of systemd (bin/service); two trees have two of them.
timer_name() {
  local sum
  sum=$(cksum <<<"$TREE")
  printf 'autoresearch-%s' "${sum%% *}"
}

# units: the folder of the person's own units of systemd.
units() { printf '%s' "${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"; }

# watcher: who looks after the loop of this tree each minute, cron or systemd; nothing, where nobody does.
watcher() {
  local lines
  if lines=$(crontab -l 2>/dev/null) && has_line "$lines" 2>/dev/null && cron_daemon >/dev/null; then
    printf 'cron'
  elif [[ -L $(units)/timers.target.wants/$(timer_name).timer ]]; then
    printf 'systemd'
  fi
}

# others: the lines of stdin but that of this tree.
others() { grep -avxF -e "$(entry)" || :; }

# install_entries: stdin becomes the crontab.
install_entries() { crontab - || die 'the crontab could not be written' 'the line above says why; it is as it was'; }
