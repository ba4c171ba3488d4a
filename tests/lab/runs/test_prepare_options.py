"""Only a prepare.py that knows `--check` is asked: any other would prepare everything anew."""

from pathlib import Path

import pytest
from lab.runs import prepare_options

KNOW = {
    "argparse": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--check', action='store_true')\n",
    "optparse": "from optparse import OptionParser\np = OptionParser()\np.add_option('-c', '--check')\n",
    "sys.argv": "import sys\nif '--check' in sys.argv:\n    sys.exit(3)\n",
    "one argument": "import sys\nif sys.argv[1:] == ['--check']:\n    sys.exit(3)\n",
    "match": "import sys\nmatch sys.argv[1:]:\n    case ['--check']:\n        sys.exit(3)\n",
    "click": "import click\n@click.command()\n@click.option('--check/--no-check')\ndef main(check): ...\n",
    "a table": "import sys\n{'--check': print}[sys.argv[1]]()\n",
    "docopt": '"""Usage: prepare.py [--check]"""\nfrom docopt import docopt\ndocopt(__doc__)\n',
    "ours": (Path(__file__).parents[3] / "prepare.py").read_text(),
}
DO_NOT_KNOW = {
    "nothing": "import random\nopen('split', 'w').write(str(random.random()))\n",
    "empty": "",
    "a comment": "import sys  # --check is for later\n",
    "a docstring": '"""Run with --check to look."""\nimport sys\n',
    "a text": "print('prepare.py --check')\nprint('--check')\n",
    "another program's": "import subprocess\nsubprocess.run(['sha256sum', '--check', 'sums'])\n",
    "a longer word": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--checkpoint')\n",
    "no Python": "if '--check' in sys.argv\n",
    "no text": "\0--check",
}


@pytest.mark.parametrize("name", KNOW)
def test_one_that_knows_the_word(name: str, tmp_path: Path) -> None:
    (tmp_path / "prepare.py").write_text(KNOW[name])
    assert prepare_options.knows_check(tmp_path) == "yes\n"


@pytest.mark.parametrize("name", DO_NOT_KNOW)
def test_one_that_does_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "prepare.py").write_text(DO_NOT_KNOW[name])
    assert prepare_options.knows_check(tmp_path) == "no\n"


def test_none(tmp_path: Path) -> None:
    assert prepare_options.knows_check(tmp_path) == "no\n"
