# Everything that needs Linux or GNU tools, so that another system needs only another version of this file, of the
# runner, of the doctor's hardware checks and of lib/lab/hardware.py (CONTRIBUTING.md). Sourced by common.sh.
# shellcheck shell=bash disable=SC2034 # used where this is sourced

unset -f flock setsid timeout # a person's shell may export functions of these names

# has_tools: whether the needed tools are on PATH. Otherwise MISSING_TOOL is the missing one, and PACKAGE the package
# with it.
has_tools() {
  for MISSING_TOOL in flock setsid timeout; do
    PACKAGE=util-linux
    [[ $MISSING_TOOL != timeout ]] || PACKAGE=coreutils
    command -v "$MISSING_TOOL" >/dev/null || return 1
  done
}

# Runs a command for so many seconds, and kills it 2 s later.
readonly LIMITED=(timeout --kill-after=2)

# random_id: sets RANDOM_ID to an id that nobody can guess.
random_id() { read -r RANDOM_ID </proc/sys/kernel/random/uuid; }

# moment: sets MOMENT to the uptime of the machine, in hundredths of a second.
moment() {
  read -r MOMENT _ </proc/uptime
  MOMENT=${MOMENT/./}
}

# boot_id: sets BOOT_ID, which changes with each boot.
boot_id() { read -r BOOT_ID </proc/sys/kernel/random/boot_id; }

# pids_named PATTERN: prints the pids of the processes with this name, one per line.
pids_named() { grep -slxE "$1" /proc/[0-9]*/comm | cut -d/ -f3; }

# folder_of PID, name_of PID: print its working folder and its name.
folder_of() { readlink "/proc/$1/cwd"; }
name_of() { cat "/proc/$1/comm" 2>/dev/null; }

# arguments_of PID: prints its command line, separated by spaces. is_named_by PID TEXT: whether its command line or
# environment contains TEXT.
arguments_of() { tr '\0' ' ' <"/proc/$1/cmdline"; }
is_named_by() { grep -qsaF -e "$2" "/proc/$1/cmdline" "/proc/$1/environ"; }

# has_variable PID NAME=VALUE: whether the process started with this variable.
has_variable() { grep -qszxF -e "$2" "/proc/$1/environ"; }

# path_of FD: sets PATH_OF to a path by which other processes of this user can open FD.
path_of() { PATH_OF=/proc/$BASHPID/fd/$1; }

# lock FD [SECONDS]: locks the open file, waiting so long. The lock lives as long as a process has FD open. LOCK is the
# command, for callers that must react to a stop meanwhile. Waiters get the lock in order.
readonly LOCK=(flock --timeout)
lock() { "${LOCK[@]}" "${2:-0}" "$1"; }

# detach COMMAND...: starts it in a session of its own, without waiting.
detach() { setsid --fork "$@"; }

# apart COMMAND...: replaces this shell by the command, in a session of its own, out of the terminal's reach.
apart() { exec setsid "$@"; }

# size_of FILE, changed_at FILE, owner_of FILE: print the bytes, the time of the last change in seconds, and mode and
# user as `600 0`.
size_of() { stat -c %s "$1"; }
changed_at() { stat -c %Y "$1"; }
owner_of() { stat -c '%a %u' "$1"; }

# seconds_at TIME: prints a time in human notation as seconds since the epoch.
seconds_at() { date -d "$1" +%s; }

# make_durable PATH...: syncs files and folders, so that they survive a power cut.
make_durable() { sync "$@"; }

# files_named PATTERN PATH...: prints `INODE TIME PATH` of each file of that name in or below these paths.
files_named() { find "${@:2}" -name "$1" -printf '%i %T@ %p\n' 2>/dev/null || :; }

# newest_files FOLDER: prints `TIME BYTES NAME` of each file in it, newest first.
newest_files() { find "$1" -type f -printf '%T@ %s %f\n' | sort -rn; }

# largest_file FOLDER: prints MB and relative path of its largest file above 1 MB. Skips links and other file systems.
largest_file() { find "$1" -xdev -type f -size +1M -printf '%s %P\n' 2>/dev/null | sort -n | tail -n 1 | awk '{ mb = int($1 / 1048576); sub(/^[^ ]* /, ""); print mb, $0 }'; }

# space_in FOLDER...: prints `MB INODES FREE_INODES PLACE` of each file system, in free MB. INODES is 0 or `-` if they
# are not counted.
space_in() { df --block-size=1M --output=avail,itotal,iavail,target -- "$@" | tail -n +2; }

# is_in_proc: whether /proc shows this process; in some sandboxes it is that of another numbering.
is_in_proc() { [[ /proc/self -ef /proc/$BASHPID ]]; }
