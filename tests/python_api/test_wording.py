"""Messages of commands, said for who calls methods."""

import pytest

from hpsearch.python_api import wording
from hpsearch.runs.arguments import TYPES
from hpsearch.runs.display import NoDisplay


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("--fresh starts over", "fresh=True starts over"),
        ("--hours allows 3 epochs; --hours 0.5 allows more", "hours= allows 3 epochs; hours=0.5 allows more"),
        ("--checkpoint-every 5m, --searcher random:trials=5", 'checkpoint_every="5m", searcher="random:trials=5"'),
        ("undo that, and the same command continues", "undo that, and the same call continues"),
        ("rank them: hpsearch rank --top 5", "rank them: hpsearch rank --top 5"),
        ("--no-such-option", "--no-such-option"),
    ],
)  # fmt: skip
def test_options_become_arguments(said, told):
    assert wording.to_python(said) == told


@pytest.mark.parametrize("name", TYPES)
def test_no_option_is_left(name):
    option = f"--{name.replace('_', '-')}"
    assert wording.to_python(f"{option} has no effect").startswith(f"{name}=")


def test_a_notebook_is_told_of_its_cell(monkeypatch):
    monkeypatch.setattr(wording, "is_in_notebook", lambda: True)
    lines = []
    shown = NoDisplay()
    shown.show_line = lines.append
    display = wording.PythonDisplay(shown)
    display.show_line("budget spent (--hours 8); run the same command again to continue")
    assert lines == ["budget spent (hours=8); run the cell again to continue"]
