"""What an experiment edits, in the folder of a flight -> texts by path: as they were before it, and as it made them.

Where that is train.py alone, they are the files `before.py` and `train.py`. Where EDITABLE names more, they are the
folders `before`, with all of them, and `after`, with those that were changed or added. lib/run/editable.sh writes both.
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
    """All that may be edited, as it was. Raises ValueError where an earlier step should have written it."""
    return {ONE: flight.need("before.py")} if is_one(flight) else _texts(flight.folder / "before")


def after(flight: Flight) -> Code | None:
    """The same, as the experiment has made it; None where nothing came back that could be read."""
    folder = flight.folder / "after"
    if folder.is_dir():
        return {**before(flight), **_texts(folder)}
    text = flight.text(ONE)
    return None if text is None else {ONE: text}


def changed_files(flight: Flight) -> dict[str, Path]:
    """The files that came back, by what they are called in the tree; train.py alone also where it did not."""
    folder = flight.folder / "after"
    if folder.is_dir():
        return dict(_files(folder))
    return {ONE: flight.folder / ONE}


def editable(flight: Flight) -> set[str]:
    """Of git's lines in `changed`, those about files that an experiment may change."""
    text = flight.text("editable")
    return {f"{kind}\t{ONE}" for kind in "MADT"} if text is None else {line for line in text.split("\n") if line}


def joined(texts: Code, paths: set[str] | None = None) -> str:
    """All of them, or those of some paths, as one text, each under its name; one alone as it is."""
    named = sorted(path for path in texts if paths is None or path in paths)
    if set(texts) == {ONE}:
        return texts[ONE]
    return "\n".join(f"# {path}\n{texts[path]}" for path in named)


def difference(old: Code, new: Code) -> tuple[str, str]:
    """What differs, as two texts: the files that were changed, as they were and as they are."""
    paths = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    return joined(old, paths), joined(new, paths)


def python(texts: Code) -> Code:
    """Those that are Python."""
    return {path: text for path, text in texts.items() if path.endswith(".py")}


def _texts(folder: Path) -> Code:
    return {name: path.read_text(encoding="utf-8", errors="replace").rstrip("\n") for name, path in _files(folder)}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path
