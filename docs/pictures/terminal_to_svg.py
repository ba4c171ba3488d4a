"""A recording of a terminal (stdin, as `script` writes it) -> an SVG picture (stdout); the argument is its title.

If the program drew whole screens, the picture is the screen with the most text.
"""

import os
import re
import sys

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

HOME = "\x1b[H"  # begins each screen of a rich display
NO_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)  # GitHub lets a picture fetch nothing
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ERASE = re.compile(r"[^\n]*\r(?!\n)")  # what a progress line showed before


def lines(recording: str) -> list[str]:
    """The lines to draw, with their colours."""
    body = recording.partition("\n")[2].partition("\nScript done on ")[0]
    screens = [screen.partition("\x1b[?")[0] for screen in body.split(HOME)]
    fullest = max(screens, key=lambda screen: len(COLOUR.sub("", screen).replace(" ", "")))
    text = ERASE.sub("", fullest).replace("\x1b[K", "").expandtabs()
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip().splitlines()


def svg(drawn: list[str], title: str) -> str:
    """The picture, as wide as its longest line."""
    width = max(len(COLOUR.sub("", line)) for line in drawn)
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=width, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi("\n".join(drawn)))
        return console.export_svg(title=title, code_format=NO_FONT.sub("", CONSOLE_SVG_FORMAT))


sys.stdout.write(svg(lines(sys.stdin.read()), sys.argv[1]))
