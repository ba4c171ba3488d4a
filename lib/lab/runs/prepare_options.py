"""A prepare.py -> whether it knows the option `--check`. One that ignores its arguments would prepare everything again.

The option counts only where a program reads its arguments: in a comparison, as an option of a parser, or in a usage
text for docopt. In a comment, another text or the arguments of another program it does not count.
"""

import ast
import re
from pathlib import Path

WORDS = ("--check", "--check/--no-check")
PARSERS = ("add_argument", "add_option", "option", "Option", "count", "index", "remove")


def knows_check(folder: Path) -> str:
    """`yes` or `no`, for a shell."""
    try:
        tree = ast.parse((folder / "prepare.py").read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return "no\n"
    return "yes\n" if any(_asks(node) for node in ast.walk(tree)) or _has_usage(tree) else "no\n"


def _asks(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare | ast.MatchValue):
        return any(_is_word(one) for one in ast.walk(node))
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name in PARSERS and any(_is_word(one) for one in node.args)
    return isinstance(node, ast.Dict) and any(_is_word(key) for key in node.keys if key)


def _is_word(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in WORDS


def _has_usage(tree: ast.Module) -> bool:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return "docopt" in names and "--check" in re.findall(r"--[\w-]+", ast.get_docstring(tree) or "")
