"""A recording of a terminal (stdin, as `script` writes it) -> an SVG picture of it (stdout); the argument is its title.

Of a program that draws whole screens, the screen with the most on it is taken.
"""

import re
import sys

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

COLUMNS = 100
HOME = "\x1b[H"  # begins each screen of a rich display
NO_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)  # GitHub lets a picture fetch nothing


def screen(recording: str) -> str:
    """The text to draw, with its colours, without the lines that `script` adds."""
    body = recording.partition("\n")[2].rpartition("\nScript done on ")[0]
    frames = [frame.partition("\x1b[?")[0] for frame in body.split(HOME)]
    fullest = max(frames, key=lambda frame: len(re.sub(r"\x1b\[[0-9;]*m|\s", "", frame)))
    return "\n".join(line.rpartition("\r")[2] for line in fullest.replace("\r\n", "\n").rstrip().split("\n"))


def main() -> None:
    """Draw it."""
    console = Console(record=True, width=COLUMNS, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi(screen(sys.stdin.read())), soft_wrap=False)
    sys.stdout.write(console.export_svg(title=sys.argv[1], code_format=NO_FONT.sub("", CONSOLE_SVG_FORMAT)))


main()
