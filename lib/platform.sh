# What only Linux and its GNU tools have, so that another system needs another version of this file alone (and of the runner,
# the doctor's checks of the hardware and lib/lab/hardware.py: CONTRIBUTING.md lists them). Sourced by common.sh.
# shellcheck shell=bash disable=SC2034 # used where this is sourced

unset -f flock setsid timeout # a person's shell may have exported functions of these names

# has_tools: whether all that this file needs is on PATH; MISSING_TOOL is one that is not, and PACKAGE what has it.
has_tools() {
  for MISSING_TOOL in flock setsid timeout; do
    PACKAGE=util-linux
    [[ $MISSING_TOOL != timeout ]] || PACKAGE=coreutils
    command -v "$MISSING_TOOL" >/dev/null || return 1
  done
}

# Before a command and its seconds: it is ended after them, and killed 2 s later.
readonly LIMITED=(timeout --kill-after=2)

# random_id: RANDOM_ID is an id that nobody can guess.
random_id() { read -r RANDOM_ID </proc/sys/kernel/random/uuid; }

# moment: MOMENT is how long the machine has run, in hundredths of a second.
moment() {
  read -r MOMENT _ </proc/uptime
  MOMENT=${MOMENT/./}
}

# boot_id: BOOT_ID is another one after each start of the machine.
boot_id() { read -r BOOT_ID </proc/sys/kernel/random/boot_id; }

# pids_named PATTERN: the processes whose name is this, a line each.
pids_named() { grep -slxE "$1" /proc/[0-9]*/comm | cut -d/ -f3; }

# folder_of PID, name_of PID: where a process works; what it is called.
folder_of() { readlink "/proc/$1/cwd"; }
name_of() { cat "/proc/$1/comm" 2>/dev/null; }

# arguments_of PID: those of its command line, separated by blanks. is_named_by PID TEXT: whether they, or its environment, have that text.
arguments_of() { tr '\0' ' ' <"/proc/$1/cmdline"; }
is_named_by() { grep -qsaF -e "$2" "/proc/$1/cmdline" "/proc/$1/environ"; }

# has_variable PID NAME=VALUE: whether a process was started with this in its environment.
has_variable() { grep -qszxF -e "$2" "/proc/$1/environ"; }

# path_of FD: PATH_OF is the path by which other processes of this user open what this one has open there.
path_of() { PATH_OF=/proc/$BASHPID/fd/$1; }

# lock FD [SECONDS]: take the lock of the file that is open there, or wait so long for it; it ends with whoever has it open. LOCK: the
# command, before seconds and FD, for who wants to be stopped meanwhile. Who waits longest is the first to have it.
readonly LOCK=(flock --timeout)
lock() { "${LOCK[@]}" "${2:-0}" "$1"; }

# detach COMMAND...: start it in a session of its own, and do not wait for it.
detach() { setsid --fork "$@"; }

# apart COMMAND...: this shell becomes that command, in a session of its own: no terminal reaches it any more.
apart() { exec setsid "$@"; }

# size_of FILE, changed_at FILE, owner_of FILE: bytes; seconds since the epoch; mode and user, as `600 0`.
size_of() { stat -c %s "$1"; }
changed_at() { stat -c %Y "$1"; }
owner_of() { stat -c '%a %u' "$1"; }

# seconds_at TIME: of a time as people write it, since the epoch.
seconds_at() { date -d "$1" +%s; }

# make_durable PATH...: files and folders survive a power cut.
make_durable() { sync "$@"; }

# files_named PATTERN PATH...: `INODE TIME PATH` of each file of such a name that there is at or below these paths.
files_named() { find "${@:2}" -name "$1" -printf '%i %T@ %p\n' 2>/dev/null || :; }

# newest_files FOLDER: TIME BYTES NAME of each file in it, the newest first.
newest_files() { find "$1" -type f -printf '%T@ %s %f\n' | sort -rn; }

# largest_file FOLDER: MB and path, from there, of the largest file in it, where that has 1 MB; no file system below it, and no link.
largest_file() { find "$1" -xdev -type f -size +1M -printf '%s %P\n' 2>/dev/null | sort -n | tail -n 1 | awk '{ mb = int($1 / 1048576); sub(/^[^ ]* /, ""); print mb, $0 }'; }

# space_in FOLDER...: `MB INODES FREE_INODES PLACE` of the file system of each; INODES is 0 or `-` where none are counted.
space_in() { df --block-size=1M --output=avail,itotal,iavail,target -- "$@" | tail -n +2; }

# is_in_proc: whether /proc shows this process; in some sandboxes it is that of another numbering.
is_in_proc() { [[ /proc/self -ef /proc/$BASHPID ]]; }
