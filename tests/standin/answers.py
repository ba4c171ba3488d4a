"""What the model does in one call of a proposer: an answer -> a reply to each request of that call.

A coding agent sends several requests a call: each has all that went before, so that how many results of tools it
holds says how far the call is. The tools are the agent's own, found by their names and parameters.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

# The scratch copy, which most agents name in their prompt.
MARK = re.compile(
    r"/[^\s\"'<>`]*/autoresearch-[\w-]{8,36}/tree"
)  # the scratch copy, which most agents name in their prompt


@dataclass(frozen=True)
class Asked:
    """One request, whatever its API: its texts, tools as name -> parameters, and the results of tools so far."""

    text: str
    tools: dict[str, set[str]]
    results: tuple[str, ...]
    model: str = ""
    stream: bool = False

    @property
    def turn(self) -> int:
        """Which turn of the call this is, from 1 on; part of every id, for agents drop what comes twice."""
        return len(self.results) + 1

    @property
    def tree(self) -> str:
        """The folder that the agent works in, or nothing."""
        found = MARK.search(self.text)
        return found[0] if found else ""


@dataclass(frozen=True)
class Text:
    """The model says something, and has nothing more to do. `refused`: with the API's mark of a refusal."""

    text: str
    refused: bool = False


@dataclass(frozen=True)
class Call:
    """The model calls a tool: `arguments` is an object, or text for a tool that takes any."""

    tool: str
    arguments: dict[str, Any] | str


@dataclass(frozen=True)
class Error:
    """The server answers with this status."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


class Silence:
    """The server does not answer."""


Reply = Text | Call | Error | Silence


class Answer(Protocol):
    """One call of a proposer."""

    def reply(self, asked: Asked) -> Reply:
        """To one request of the call."""
        ...


def in_turn(calls: list[Call], asked: Asked, last: str) -> Reply:
    """The calls one after the other, and then the last word."""
    return calls[len(asked.results)] if len(asked.results) < len(calls) else Text(last)


@dataclass(frozen=True)
class Edit:
    """Replaces one text by another in a file, and says so."""

    old: str
    new: str
    says: str = ""
    path: str = "train.py"

    def reply(self, asked: Asked) -> Reply:
        """Reads first, where the agent wants that."""
        says = self.says or f"{self.old} -> {self.new}"
        calls = self.calls(asked)
        if set(asked.tools) == {"bash"}:  # this agent ends with a command
            end = Call("bash", {"command": f"echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; echo {quoted(says)}"})
            return [*calls, end][min(len(asked.results), len(calls))]
        return in_turn(calls, asked, f"I have looked at the code.\n\n{says}") if calls else Text(self.block(says))

    def calls(self, asked: Asked) -> list[Call]:
        """With the tools that there are; none where there is no tool."""
        tools, path = asked.tools, f"{asked.tree}/{self.path}" if asked.tree else self.path
        if "Edit" in tools:
            change = Call("Edit", {"file_path": path, "old_string": self.old, "new_string": self.new})
            return [Call("Read", {"file_path": path}), change]
        if "replace" in tools:
            change = {"file_path": path, "old_string": self.old, "new_string": self.new, "instruction": "change it"}
            return [Call("read_file", {"file_path": path}), Call("replace", change)]
        if "filePath" in tools.get("edit", set()):
            change = {"filePath": path, "oldString": self.old, "newString": self.new}
            return [Call("read", {"filePath": path}), Call("edit", change)]
        if "edit" in tools:
            change = {"path": path, "edits": [{"oldText": self.old, "newText": self.new}]}
            return [Call("read", {"path": path}), Call("edit", change)]
        shell = shell_call(asked, self.patch())
        return [shell] if shell else []

    def patch(self) -> str:
        """A command for a shell."""
        program = (
            "import sys; p, a, b = sys.argv[1:]; t = open(p).read(); assert a in t; open(p, 'w').write(t.replace(a, b))"
        )
        return "python3 -c " + " ".join(quoted(part) for part in (program, self.path, self.old, self.new))

    def block(self, says: str) -> str:
        """For a model that has text alone."""
        fence = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"
        edit = f"{self.path}\n```python\n{fence[0]}\n{self.old}\n{fence[1]}\n{self.new}\n{fence[2]}\n```"
        return f"I have looked at the code.\n\n{edit}\n\n{says}\n"


class Wave:
    """Each call, of which several may be made at once, changes a line of `text`: in train.py, in further candidates."""

    def __init__(self, text: str, line: str, count: int) -> None:
        """`line` has `{}` for a number, which is another one each time; there are so many candidates a call."""
        self.text, self.line, self.count = text, line, count
        self.numbers: dict[str, int] = {}

    def reply(self, asked: Asked) -> Reply:
        """By the tools that there are."""
        key = asked.tree or f"request {len(self.numbers)}"
        number = self.numbers.setdefault(key, 1 + len(self.numbers))
        old = self.line.format("1.0")
        own, *others = (self.line.format(f"{1 + number}.{k}") for k in range(1, self.count + 1))
        edit, files = Edit(old, own, says=own), {f"candidates/{k}.py": line for k, line in enumerate(others, 2)}
        tool = next((tool for tool in ("Write", "write", "write_file") if tool in asked.tools), None)
        if tool and not shell_call(asked, ""):
            name = next(one for one in ("file_path", "filePath", "path") if one in asked.tools[tool])
            writes = [
                Call(tool, {name: f"{asked.tree or '.'}/{path}", "content": self.whole(old, line)})
                for path, line in files.items()
            ]
            return in_turn([*edit.calls(asked), *writes], asked, own)
        commands = [f"sed 's/{old}/{line}/; 1i # {line}' train.py >{path}" for path, line in files.items()]
        if shell := shell_call(asked, "; ".join([*commands, edit.patch()])):
            return in_turn([shell], asked, own)
        blocks = [Edit(old, line, says="-", path=path).block("") for path, line in files.items()]
        return Text("\n".join([*blocks, edit.block(own)]))

    def whole(self, old: str, line: str) -> str:
        """A candidate."""
        return f"# {line}\n{self.text.replace(old, line)}"


def quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def shell_call(asked: Asked, command: str) -> Call | None:
    """With the shell that the agent offers, or nothing."""
    for name, parameters in asked.tools.items():
        for parameter in ("cmd", "command"):
            if parameter in parameters:
                return Call(name, {parameter: command})
        if name == "exec":  # code is what it takes
            return Call(name, f"const r = await tools.exec_command({json.dumps({'cmd': command})}); text(r.output);")
    return None


@dataclass(frozen=True)
class Shell:
    """Tries a shell command, with a tool that was offered, or with one that was not."""

    command: str

    def reply(self, asked: Asked) -> Reply:
        """Once; then it gives up."""
        if not asked.tools:
            return Text(f"```bash\n{self.command}\n```\n")
        guess = "Bash" if "Edit" in asked.tools else "run_shell_command" if "replace" in asked.tools else "bash"
        offered = shell_call(asked, self.command)
        return in_turn([offered or Call(guess, {"command": self.command})], asked, "The command did not help.")


@dataclass(frozen=True)
class Asks:
    """Wants a person."""

    text: str = "I have three ideas. Should I continue with the first one?"

    def reply(self, asked: Asked) -> Reply:
        """Text alone."""
        return Text(self.text)


@dataclass(frozen=True)
class Refusal:
    """Will not."""

    text: str = "I am sorry, but I cannot help with that."

    def reply(self, asked: Asked) -> Reply:
        """With the API's mark."""
        return Text(self.text, refused=True)


@dataclass(frozen=True)
class Nonsense:
    """A tool that there is not, or a block that fits nowhere; then words without sense."""

    def reply(self, asked: Asked) -> Reply:
        """As a small model would."""
        if not asked.tools:
            return Text(Edit("a line that is nowhere = 1", "x = 2").block("zzz ]]]"))
        return in_turn([Call("frobnicate", {"widget": ["\u0000", -1]})], asked, "ok ok ok ``` ]]] <<<<")


@dataclass(frozen=True)
class Hang:
    """Takes the request, and never answers."""

    def reply(self, asked: Asked) -> Reply:
        """Nothing."""
        return Silence()


@dataclass(frozen=True)
class Fault:
    """The server's, to each request of the call."""

    error: Error

    def reply(self, asked: Asked) -> Reply:
        """The same each time."""
        return self.error


def rate_limit(seconds: int = 1) -> Fault:
    """429, and when to come again."""
    return Fault(Error(429, "Rate limit reached: too many requests", {"retry-after": str(seconds)}))


def overload(status: int = 503) -> Fault:
    """503, or 529."""
    return Fault(Error(status, "The model is overloaded"))


def unauthorized() -> Fault:
    """401."""
    return Fault(Error(401, "Invalid API key"))
