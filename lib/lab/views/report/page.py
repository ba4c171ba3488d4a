"""Data -> the page: page.html with page.css, Vega, page.js and the data in it. It opens from disk, without a network.

Descriptions, diffs and logs are untrusted. They are JSON in a script that does not run, page.js puts them in as text,
and the page's own policy lets no other script run than the two that are named by their hashes, and fetches nothing.
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
    vega = f"(() => {{{bundle()}}})();"  # in a scope of its own
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
    return page.encode(errors="replace").decode()  # half of a pair of surrogates is JSON, but no UTF-8


def bundle() -> str:
    """The browser's Vega. To bundle it takes over a second, and it is the same until another version is installed."""
    kept = Path(sys.prefix) / f"vega-{version('vl-convert-python')}.js"
    if kept.exists():
        return kept.read_text()
    import vl_convert

    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with suppress(OSError):  # an environment that cannot be written
        durable.write_atomically(kept, text, durable=False)
    return text


def blob(data: dict[str, Any]) -> str:
    """JSON in which nothing can end a script or begin a comment; nulls are left out."""
    small = json.dumps(slim(data), default=float, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        small = small.replace(character, f"\\u{ord(character):04x}")
    return small


def slim(value: Any) -> Any:
    """Without nulls and infinities in objects: page.js treats absent as unknown."""
    if isinstance(value, dict):
        return {name: slim(one) for name, one in value.items() if not is_unknown(one)}
    return [None if is_unknown(one) else slim(one) for one in value] if isinstance(value, list) else value


def is_unknown(value: Any) -> bool:
    """A damaged file may hold infinity or NaN, which JSON does not have."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def hash_of(script: str) -> str:
    """The name of a script in a content security policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
