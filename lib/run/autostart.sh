# The restarts of this tree's loop: a line in the person's crontab, or a systemd timer. Sourced.
# shellcheck shell=bash

# cron_daemon: prints the name of the running daemon, under its names on Debian, Fedora and Alpine, and fcron. Fails if
# none is running.
cron_daemon() {
  local pid name
  for pid in $(pids_named 'cron|crond|fcron'); do
    name=$(name_of "$pid") && printf '%s\n' "$name" && return # the process may have ended
  done
  return 1
}

# crontab_line: prints this tree's line. cron ends a command at an unescaped %, and runs it with sh.
crontab_line() {
  local path=$TOOLKIT/bin/keepalive
  [[ ! $path$TREE =~ [[:cntrl:]] ]] || die "a crontab cannot hold this folder's name: '$TREE'" 'rename the folder'
  path=$(quote_for_sh "$path")
  [[ -z $ADOPTED_BY ]] || path="AUTORESEARCH_TREE=$(quote_for_sh "$TREE") $path"
  printf '* * * * * %s # autoresearch\n' "${path//%/\\%}"
}

# quote_for_sh PATH: quotes it for sh.
quote_for_sh() { if [[ $1 =~ ^[A-Za-z0-9_./-]+$ ]]; then printf '%s' "$1"; else printf "'%s'" "${1//\'/\'\\\'\'}"; fi; }

# hold_crontab: locks the crontab, by the home folder, against another of our verbs, which would lose a line. If the
# home folder cannot be locked, it goes on without a lock.
hold_crontab() {
  [[ -d $HOME && -r $HOME ]] || return 0
  exec 8<"$HOME"
  lock 8 20 2>/dev/null || :
}

# has_line TEXT: whether the crontab TEXT has the line of this tree.
has_line() { [[ $'\n'$1$'\n' == *$'\n'"$(crontab_line)"$'\n'* ]]; }

# crontab_lines: prints the crontab. A user without one is no error; any other failure is.
crontab_lines() {
  local complaint
  command -v crontab >/dev/null || die "no 'crontab' on PATH" 'install the package cron, or: make service'
  exec 3>&1
  complaint=$(LC_ALL=C crontab -l 2>&1 >&3) || [[ $complaint == *'no crontab for'* ]] ||
    die "cannot read the crontab: '${complaint:-no message}'" 'see the cause: crontab -l'
  exec 3>&-
}

# timer_name: prints the name of this tree's systemd timer (bin/service), unique for each tree.
timer_name() {
  local sum
  sum=$(cksum <<<"$TREE")
  printf 'autoresearch-%s' "${sum%% *}"
}

# unit_folder: prints the folder of the person's systemd units.
unit_folder() { printf '%s' "${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"; }

# watcher: prints what restarts the loop of this tree, cron or systemd; nothing if neither does.
watcher() {
  local lines
  if lines=$(crontab -l 2>/dev/null) && has_line "$lines" 2>/dev/null && cron_daemon >/dev/null; then
    printf 'cron'
  elif [[ -L $(unit_folder)/timers.target.wants/$(timer_name).timer ]]; then
    printf 'systemd'
  fi
}

# other_lines: prints the lines of stdin, without the one of this tree.
other_lines() { grep -avxF -e "$(crontab_line)" || :; }

# install_crontab: replaces the crontab with stdin.
install_crontab() { crontab - ||
  die 'cannot write the crontab, which is unchanged' 'read the message above; see: crontab -l'; }
