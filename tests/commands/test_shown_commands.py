"""Commands that messages, pages and docstrings show are commands, with options that they have."""

import re
import shlex
from dataclasses import replace

import pytest

from hpsearch.commands import main
from hpsearch.report.reproduction import run_command
from tests.builders import RECORD
from tests.conftest import ROOT

# Where a text shows a command: in backquotes, after a colon or at the beginning of a line.
SHOWN = re.compile(r"(?:`|: |by |^ *|')hpsearch (?!itself)([a-z]+)\b([^`\"'\n,;)]*)", re.MULTILINE)
FILES = sorted((ROOT / "hpsearch").rglob("*.py"))


def shown_commands():
    for file in FILES:
        for name, words in SHOWN.findall(file.read_text()):
            yield file.relative_to(ROOT), name, words


def option_names(command):
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def test_those_in_the_code_exist_and_have_their_options():
    shown = list(shown_commands())
    assert len(shown) > 20  # else they are no longer found
    wrong = [
        (str(file), name, option)
        for file, name, words in shown
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", words) or [None]
        if name not in main.app.commands
        or option not in {None, "--help", "--debug", *option_names(main.app.commands[name])}
    ]
    assert not wrong


@pytest.mark.parametrize(
    "searcher",
    [
        "Random(epochs=2)",
        "Hyperband(max_epochs=27, eta=3)",
        "GrowThenRegularize(trials=6, epochs=2, steps=3, grow=('units',))",
    ],
)
@pytest.mark.parametrize("file", ["studies/of mine.py", "-x.py"])
def test_the_command_that_repeats_a_search_is_understood(searcher, file):
    search = replace(RECORD, file=file, searcher=searcher, evaluator="KFold(folds=3)")
    program, name, *words = shlex.split(run_command(search, 5, 2, continues=False))
    assert program == "hpsearch"
    context = main.app.commands[name].make_context(name, words)
    assert context.params["repeats"] == 2
    assert context.params["trials"] == 5
    assert context.params["searcher"].startswith(f"{searcher.partition('(')[0].lower()}:")
