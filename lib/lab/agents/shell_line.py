"""A line for a shell -> the commands in it, each with the folder that it is done in.

Enough of the shell to see through quotes, lists, pipes, redirections, `cd`, `env`, `bash -c`, `$(...)` and
here-documents. What is not shell is no command at all. Only the standard library.
"""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

HERE = re.compile(r"<<-?[ \t]*(['\"]?)(\w+)\1(.*\n)(?:.*\n)*?[ \t]*\2[ \t]*(?=\n|$)")
COMMENT = re.compile(r"""('[^']*'|"(?:\\.|[^"\\])*"|\\.)|(?<![^\s;&|()])#[^\n]*""", re.DOTALL)
NESTED = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=.*", re.DOTALL)
WORDS = {"!", "{", "(", "if", "then", "else", "elif", "while", "until", "do", "time"}  # before a command
# Before a command, with as many words of their own as stand here.
PREFIXES = {"sudo": 0, "command": 0, "exec": 0, "nohup": 0, "env": 0, "nice": 0, "setsid": 0, "xargs": 0, "timeout": 1}
SHELLS = {"bash", "sh", "dash", "zsh"}
VALUED = {"-C", "-c", "-n", "-u", "-k", "-s", "-p", "--git-dir", "--work-tree", "--namespace"}  # options before a value
VALUED |= {"--directory", "--project", "--python"}
SHOWING = {"cat", "bat", "less", "more", "most", "tail", "head", "tac", "nl", "view", "vi", "vim", "nano", "emacs"}
SHOWING |= {"sed", "awk", "strings", "od", "xxd", "fold", "zcat", "zless"}
INSTALLERS = {
    "pip": {"install", "uninstall"},
    "uv": {"add", "remove", "sync", "lock"},
    "conda": {"install", "create", "update", "remove"},
    "apt": {"install", "remove", "upgrade"},
    "npm": {"install", "i", "add", "ci"},
    "poetry": {"add", "install", "remove"},
}
LIKE = {
    "mamba": "conda",
    "micromamba": "conda",
    "apt-get": "apt",
    "dnf": "apt",
    "yum": "apt",
    "apk": "apt",
    "brew": "apt",
}


@dataclass(frozen=True)
class Command:
    """One command: its words, without redirections; the files that redirections write to; the folder it is done in."""

    words: tuple[str, ...]
    targets: tuple[str, ...]
    folder: str

    @property
    def program(self) -> str:
        """The name of what is run: python for .venv/bin/python3.12."""
        return _program(self.words[0]) if self.words else ""

    @property
    def arguments(self) -> list[str]:
        """The words after it that are no options."""
        return [word for word in self.words[1:] if not word.startswith("-")]

    @property
    def verb(self) -> str:
        """The first argument: of git, of uv."""
        return next(iter(self.arguments), "")

    @property
    def options(self) -> set[str]:
        """Long ones as they are, short ones one by one."""
        found: set[str] = set()
        for word in self.words[1:]:
            if word.startswith("--"):
                found.add(word.partition("=")[0])
            elif word.startswith("-"):
                found.update(f"-{letter}" for letter in word[1:])
        return found

    @property
    def written(self) -> list[str]:
        """The files that it writes, deletes or replaces, as far as can be seen."""
        named: list[str] = []
        if self.program in ("rm", "mv", "tee", "truncate", "unlink", "shred", "patch"):
            named = self.arguments
        elif self.program in ("cp", "ln", "install", "rsync"):
            named = self.arguments[-1:]
        elif self.program in ("sed", "perl") and "-i" in self.options:
            named = self.arguments
        elif self.program == "dd":
            named = [word.removeprefix("of=") for word in self.words if word.startswith("of=")]
        return [*named, *self.targets]

    @property
    def installs(self) -> bool:
        """Whether it changes the packages that are there."""
        name = LIKE.get(self.program, self.program)
        if name == "python" and self.words[1:3] == ("-m", "pip"):
            return bool({*self.words[3:]} & INSTALLERS["pip"])
        if name == "uv" and self.verb in ("pip", "tool"):
            return bool({*self.arguments[1:]} & (INSTALLERS["pip"] | {"sync"}))
        if name == "uv" and self.verb == "run":
            return "--with" in self.options
        return self.verb in INSTALLERS.get(name, ())

    @property
    def runs(self) -> str:
        """The name of the script that it runs, by itself, by Python or by uv; empty: none."""
        if self.program.endswith(".py"):
            return self.program
        if self.program == "uv" and self.verb == "run":
            after = self.words[self.words.index("run") + 1 :]
            while after and after[0].startswith("-"):
                after = after[2:] if after[0] in VALUED else after[1:]
            return Command(after, (), self.folder).runs
        if self.program in ("python", "torchrun", "accelerate") and not {"-m", "-c"} & {*self.words[1:3]}:
            return next((name for word in self.arguments if (name := os.path.basename(word)).endswith(".py")), "")
        return ""

    @property
    def shows(self) -> bool:
        """Whether it prints what is in its files."""
        return self.program in SHOWING

    def shows_at_most(self, size: int) -> bool:
        """Whether it is a `tail -c N` or `head -c N` of at most `size` bytes."""
        said = re.search(r" (?:-c|--bytes)[ =]?(\d+)( |$)", " ".join(self.words) + " ")
        return self.program in ("tail", "head") and said is not None and int(said[1]) <= size


def commands(text: str, folder: str) -> Iterator[Command]:
    """The commands of a line, or of several, in their order."""
    text = HERE.sub(r"\3", text.replace("\\\n", " "))
    text = COMMENT.sub(lambda found: found[1] or "", text)
    for match in NESTED.finditer(text):
        yield from commands(match[1] or match[2] or "", folder)
    for words in _split(text):
        command = _command(words, folder)
        if command.program == "cd" and command.arguments:
            folder = os.path.normpath(os.path.join(folder, os.path.expanduser(command.arguments[0])))
        elif command.program in SHELLS and "-c" in command.options and command.arguments:
            yield from commands(command.arguments[0], command.folder)
        elif command.program == "eval":
            yield from commands(" ".join(command.words[1:]), command.folder)
        elif command.words or command.targets:
            yield command


def _split(text: str) -> Iterator[list[str]]:
    """The words of each command; what cannot be split has none."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";()<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    try:
        tokens = list(lexer)
    except ValueError:  # a quote that is never closed: no shell would run it
        return
    words: list[str] = []
    for token in tokens:
        if set(token) <= set(";()|&\n"):
            yield words
            words = []
        else:
            words.append(token)
    yield words


def _command(words: list[str], folder: str) -> Command:
    """Without what stands before the program; and without redirections."""
    plain, targets = _redirected(words)
    while plain and (plain[0] in WORDS or ASSIGNMENT.fullmatch(plain[0]) or plain[0] in PREFIXES):
        first = plain.pop(0)
        if first in PREFIXES:
            while plain and plain[0].startswith("-"):
                plain = plain[2:] if plain[0] in VALUED else plain[1:]
            plain = plain[PREFIXES[first] :]
    if plain and _program(plain[0]) == "git":
        return _git(plain, targets, folder)
    return Command(tuple(plain), tuple(targets), folder)


def _git(words: list[str], targets: list[str], folder: str) -> Command:
    """`git -C somewhere -c a=b reset` is `git reset`, done there."""
    rest = words[1:]
    while rest and rest[0].startswith("-"):
        if rest[0] == "-C" and rest[1:]:
            folder = os.path.normpath(os.path.join(folder, os.path.expanduser(rest[1])))
        rest = rest[2:] if rest[0] in VALUED else rest[1:]
    return Command(("git", *rest), tuple(targets), folder)


def _redirected(words: list[str]) -> tuple[list[str], list[str]]:
    """The words without redirections, but with what is read by `<`; and the files that are written to."""
    plain: list[str] = []
    targets: list[str] = []
    rest = iter(words)
    for word in rest:
        if not set(word) <= set("<>&|") or not word:
            plain.append(word)
            continue
        file = next(rest, "")
        if ">" in word:
            targets.append(file)
            if plain and plain[-1] in ("1", "2") and len(plain) > 1:
                plain.pop()
        elif word == "<":
            plain.append(file)
    return plain, targets


def _program(word: str) -> str:
    name = os.path.basename(word)
    return re.sub(r"^(python|pip)[\d.]*$", r"\1", name)
