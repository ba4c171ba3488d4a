"""Data -> one HTML page with page.css, Vega, page.js and the data. It opens from disk, without a network.

Descriptions, diffs and logs are untrusted. They are JSON in a script element that does not run, and page.js inserts
them as text. The page's policy runs only the two scripts whose hashes it lists, and fetches nothing.
"""

import base64
import hashlib
import html
import json
import math
import re
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lab.store import durable

FOLDER = Path(__file__).parent
PICTURES = ("progress", "curves", "pareto", "parameter")
SLOT = re.compile(r"\{\{(\w+)\}\}")


def text(data: dict[str, Any]) -> str:
    """The whole page as HTML."""
    specs = {name: json.loads((FOLDER / f"{name}.vg.json").read_text()) for name in PICTURES}
    vega = f"(() => {{{bundle()}}})();"  # a function, so that Vega has its own scope
    script = (FOLDER / "page.js").read_text()
    slots = {
        "title": html.escape(" ".join(one["name"] for one in data["runs"])),
        "policy": f"script-src {hash_of(vega)} {hash_of(script)}",
        "css": (FOLDER / "page.css").read_text(),
        "vega": vega,
        "script": script,
        "data": blob({**data, "specs": specs}),
    }
    page = SLOT.sub(lambda slot: slots[slot[1]], (FOLDER / "page.html").read_text())
    return page.encode(errors="replace").decode()  # a lone surrogate is valid in JSON, but not in UTF-8


def bundle() -> str:
    """Vega for the browser. Bundling takes over a second, so the bundle of each version is cached."""
    cached = Path(sys.prefix) / f"vega-{version('vl-convert-python')}.js"
    if cached.exists():
        return cached.read_text()
    import vl_convert

    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with suppress(OSError):  # the environment is read-only
        durable.write_atomically(cached, text, durable=False)
    return text


def blob(data: dict[str, Any]) -> str:
    """JSON without nulls, in which nothing can end a script or start a comment."""
    small = json.dumps(slim(data), default=float, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        small = small.replace(character, f"\\u{ord(character):04x}")
    return small


def slim(value: Any) -> Any:
    """Remove nulls and infinities from objects: page.js treats absent as unknown."""
    if isinstance(value, dict):
        return {name: slim(one) for name, one in value.items() if not is_unknown(one)}
    return [None if is_unknown(one) else slim(one) for one in value] if isinstance(value, list) else value


def is_unknown(value: Any) -> bool:
    """Whether JSON has no such value. A damaged file may hold infinity or NaN."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def hash_of(script: str) -> str:
    """The source expression of a script in a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
