#!/usr/bin/env python3
"""Landlock: runs a command that reaches what a `confine` grants, where bubblewrap does not work, and nobody is root.

Usage: landlock.py CONFINE CAPABILITIES COMMAND...

CONFINE is a file of lines as lib/child/runner.py describes them, CAPABILITIES the numbers of those that root keeps
(0,1,...). The command takes the place of this process, and what it starts is held as it is. 1, after a line
`landlock: WHY`: it cannot be held here; ABI 3, of Linux 6.2, is the first that holds truncate(2).

Landlock only grants, and what is granted on a folder holds for all below it. So where something in a folder may be less
than the folder itself, the grants are on its entries, each by itself, and nothing new can be made beside them. Of a
home folder with such a level the command has another one, in its TMPDIR: links to what is in the real one, beside
which it makes what it likes, for as long as its call takes.

Not held: that a path exists, its mode, times and owner; the names in folders; sockets in the file system; signals to
others, and abstract sockets, below ABI 6. A filter of system calls refuses the network, the loopback with it, and what
would keep something in memory for the next command. Sources: man 7 landlock,
https://docs.kernel.org/userspace-api/landlock.html and https://docs.kernel.org/userspace-api/seccomp_filter.html.
"""

from __future__ import annotations

import _signal as signal  # what stands around it takes long to import
import ctypes
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_ABI = 3
CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on every architecture
BY_VERSION, PATH_BENEATH = 1, 1
NO_NEW_PRIVS, SECCOMP, DROP = 38, 22, 24  # prctl(2)
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL = (1 << bit for bit in (0, 1, 2, 3, 14, 15))
DEVICES = 1 << 6 | 1 << 11  # to make them: nobody may
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
SCOPES = 1 | 2  # abstract sockets and signals, from ABI 6 on
HIDE, READ, WRITE = 0, 1, 2
WORDS = {"hide": HIDE, "read": READ, "write": WRITE}
SYSCTL = "/proc/sys/kernel/core_pattern"  # who can write it is root of the machine

# For a process without a network: machine -> its name for a filter, socket(2), and what is refused. These are, in turn,
# shmget, msgget, semget, mq_open, add_key, request_key, keyctl, and io_uring_setup, which goes round a filter.
CALLS = {
    "x86_64": (0xC000003E, 41, (29, 68, 64, 240, 248, 249, 250, 425)),
    "aarch64": (0xC00000B7, 198, (194, 186, 190, 180, 217, 218, 219, 425)),
}
FAMILIES = (1, 16)  # AF_UNIX, AF_NETLINK
OTHER_ABI = 0x40000000  # calls from here on are those of x32
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF
REFUSE, ALLOW = 0x00050000 | 1, 0x7FFF0000  # EPERM

LIBC = ctypes.CDLL(None, use_errno=True)


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class Rule(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


class Paths:
    """The rights on each path, from the lines of a `confine`."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        """The later of two lines about one path counts."""
        base = WRITE if lines[:1] == [("write", "/")] else READ
        proc = "read" if os.access(SYSCTL, os.W_OK) else "write"  # CUDA writes the names of its threads there
        self.modes = {"/": base}
        for word, path in (("write", "/dev"), (proc, "/proc"), *lines):
            if word in WORDS and path != "/" and os.path.exists(path):
                real = os.path.realpath(path)
                self.modes = {known: mode for known, mode in self.modes.items() if not known.startswith(f"{real}/")}
                self.modes[real] = WORDS[word]
        self.levels = set[str]()  # folders that may be written, but for something in them

    def grants(self, path: str = "/", mode: int = HIDE, given: int = HIDE) -> Iterator[tuple[str, int]]:
        """Paths and what is granted there. `mode` is that of the folder around it, `given` what was granted above."""
        mode, prefix = self.modes.get(path, mode), path.rstrip("/") + "/"
        inside = {known: one for known, one in self.modes.items() if known.startswith(prefix) and known != path}
        lowest = min(mode, *inside.values(), mode)
        if lowest > given:
            yield path, lowest
        names = {known[len(prefix) :].partition("/")[0] for known in inside}
        if lowest < mode:
            names.update(entries(path))
            if mode == WRITE:
                self.levels.add(path)
        for name in names:
            if not os.path.islink(prefix + name):
                yield from self.grants(prefix + name, mode, max(given, lowest))


def entries(folder: str) -> list[str]:
    """Their names; none where they cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def checked(result: int, what: str) -> int:
    """The result of a call of the C library. Raises OSError where it has failed."""
    if result < 0:
        raise OSError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def abi() -> int:
    """The version of Landlock; below 1 there is none."""
    return int(LIBC.syscall(CREATE, None, ctypes.c_size_t(0), BY_VERSION))


def restrict(paths: list[tuple[str, int]]) -> None:
    """This process, and all that it starts, can do with files what is granted here, and list any folder."""
    version = abi()
    if version < LEAST_ABI:
        raise OSError(f"it is not in this kernel, or too old (ABI {version}, {LEAST_ABI} is needed)")
    every = (1 << (16 if version >= 5 else 15)) - 1
    rights = {HIDE: 0, READ: EXECUTE | READ_FILE, WRITE: every & ~DEVICES}
    wanted = Ruleset(every, 0, SCOPES if version >= 6 else 0)
    size = ctypes.sizeof(wanted) if version >= 6 else 8
    ruleset = checked(LIBC.syscall(CREATE, ctypes.byref(wanted), ctypes.c_size_t(size), 0), "landlock_create_ruleset")
    grant(ruleset, "/", READ_DIR)
    for path, mode in paths:
        grant(ruleset, path, rights[mode])
    for descriptor in (1, 2):  # its log: what is opened again, as /dev/stderr
        grant(ruleset, f"/proc/self/fd/{descriptor}", WRITE_FILE | TRUNCATE)
    checked(LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    checked(LIBC.syscall(RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def grant(ruleset: int, path: str, rights: int) -> None:
    """On what is there."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it has just gone
    if not os.path.isdir(path):
        rights &= OF_FILES
    # A pipe has no path to grant, and it is open.
    LIBC.syscall(ADD, ruleset, PATH_BENEATH, ctypes.byref(Rule(rights, descriptor)), 0)
    os.close(descriptor)


def second_home(home: str, levels: set[str], folder: str) -> None:
    """Links in `folder` to what is in `home`; of a level, to what is in that."""
    for level in sorted(one for one in levels if f"{one}/".startswith(f"{home}/")):
        copy = folder + level[len(home) :]
        if not os.path.isdir(os.path.dirname(copy)):
            continue
        os.mkdir(copy, 0o700)
        for name in entries(level):
            if f"{level}/{name}" not in levels:
                os.symlink(f"{level}/{name}", f"{copy}/{name}")


def drop_capabilities(kept: list[str]) -> None:
    """Drop them from the next program on, if the user is root. For others this fails, and they have none."""
    for number in range(64):
        if str(number) not in kept:
            LIBC.prctl(DROP, number, 0, 0, 0)


def close_network() -> None:
    """No socket but of FAMILIES, and none of the calls that are refused. PermissionError is what they give."""
    name, socket, refused = CALLS[os.uname().machine]
    body = [(LOAD, 0, 0, 4), (EQUAL, 0, "refuse", name), (LOAD, 0, 0, 0), (AT_LEAST, "refuse", 0, OTHER_ABI)]
    body += [(EQUAL, "refuse", 0, number) for number in refused]
    body += [(EQUAL, 0, "allow", socket), (LOAD, 0, 0, 16), *((EQUAL, "allow", 0, family) for family in FAMILIES)]
    places = {"refuse": len(body), "allow": len(body) + 1}
    code = b""
    for at, (operation, yes, no, value) in enumerate([*body, (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]):
        jumps = bytes(places[one] - at - 1 if isinstance(one, str) else one for one in (yes, no))
        code += operation.to_bytes(2, sys.byteorder) + jumps + value.to_bytes(4, sys.byteorder)
    program = Program(len(code) // 8, code)
    checked(LIBC.prctl(SECCOMP, 2, ctypes.byref(program), 0, 0), "seccomp")


def main(file: str, kept: str, *command: str) -> None:
    """See the head of this file. Raises OSError."""
    with open(file, encoding="utf-8", errors="surrogateescape") as lines:
        wanted = [line.rstrip("\n").partition(" ")[::2] for line in lines]
    paths = Paths(wanted)
    granted = list(paths.grants())
    home = os.path.realpath(os.environ.get("HOME", "/"))
    if home in paths.levels and "TMPDIR" in os.environ:
        os.environ["HOME"] = os.path.join(os.environ["TMPDIR"], "home")
        second_home(home, paths.levels, os.environ["HOME"])
    drop_capabilities(kept.split(","))
    restrict(granted)
    if not {("network", ""), ("loopback", "")} & {*wanted}:
        close_network()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        print(f"landlock: {error}", file=sys.stderr)
        sys.exit(1)
