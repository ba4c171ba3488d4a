"""The editable code in the folder of a flight -> texts by path, before and after the experiment's change.

If only train.py is editable, the files are `before.py` and `train.py`. If EDITABLE names other files, the folder
`before` has all of them, and the folder `after` has those that were changed or added. lib/run/editable.sh writes both.
"""

from collections.abc import Iterator
from pathlib import Path

from lab.store.flight import Flight

ONE = "train.py"
Code = dict[str, str]


def is_one(flight: Flight) -> bool:
    """Whether train.py alone may be edited."""
    return not (flight.folder / "before").is_dir()


def before(flight: Flight) -> Code:
    """All editable files before the change. Raises ValueError if an earlier step did not write them."""
    return {ONE: flight.need("before.py")} if is_one(flight) else _texts(flight.folder / "before")


def after(flight: Flight) -> Code | None:
    """All editable files after the change; None if no readable file came back."""
    folder = flight.folder / "after"
    if folder.is_dir():
        return {**before(flight), **_texts(folder)}
    text = flight.text(ONE)
    return None if text is None else {ONE: text}


def changed_files(flight: Flight) -> dict[str, Path]:
    """The files that came back, by their path in the tree. train.py is listed even if it is missing."""
    folder = flight.folder / "after"
    if folder.is_dir():
        return dict(_files(folder))
    return {ONE: flight.folder / ONE}


def editable(flight: Flight) -> set[str]:
    """The lines of git's `changed` that are about editable files."""
    text = flight.text("editable")
    return {f"{kind}\t{ONE}" for kind in "MADT"} if text is None else {line for line in text.split("\n") if line}


def joined(texts: Code, paths: set[str] | None = None) -> str:
    """All texts, or those of `paths`, as one text with a header for each; train.py alone has no header."""
    named = sorted(path for path in texts if paths is None or path in paths)
    if set(texts) == {ONE}:
        return texts[ONE]
    return "\n".join(f"# {path}\n{texts[path]}" for path in named)


def difference(old: Code, new: Code) -> tuple[str, str]:
    """The files that differ, joined into two texts: before and after."""
    paths = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    return joined(old, paths), joined(new, paths)


def python(texts: Code) -> Code:
    """The Python files."""
    return {path: text for path, text in texts.items() if path.endswith(".py")}


def _texts(folder: Path) -> Code:
    return {name: path.read_text(encoding="utf-8", errors="replace").rstrip("\n") for name, path in _files(folder)}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path
