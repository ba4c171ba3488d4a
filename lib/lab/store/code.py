"""The editable code in the folder of a flight -> texts by path, before and after the experiment's change.

The folder `before` has all editable files, and the folder `after` has those that were changed or added
(lib/run/editable.sh).
"""

from pathlib import Path

from lab.store.flight import Flight

ONE = "train.py"
Code = dict[str, str]


def before(flight: Flight) -> Code:
    """All editable files before the change. Raises ValueError if an earlier step did not write them."""
    folder = flight.folder / "before"
    if not folder.is_dir():
        raise ValueError(f"'{folder}' is missing: an earlier step should have written it")
    return _texts(folder)


def after(flight: Flight) -> Code | None:
    """All editable files after the change; None if no readable file came back."""
    texts = _texts(flight.folder / "after")
    return {**before(flight), **texts} if texts or flight.is_baseline else None


def editable(flight: Flight) -> set[str]:
    """The lines of git's `changed` that are about editable files."""
    return {line for line in flight.need("editable").split("\n") if line}


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


def files(folder: Path) -> dict[str, Path]:
    """The files in a folder, by their path in it; none if there is no folder."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _texts(folder: Path) -> Code:
    found = files(folder).items()
    return {name: path.read_text(encoding="utf-8", errors="replace").rstrip("\n") for name, path in found}
