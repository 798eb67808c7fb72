"""Sources that do what none may: each is told in one line, and ends nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from hpsearch import Data, Source
from hpsearch.core.errors import DataError, TrialFailed


class Odd(BaseException):
    """No Exception."""


class Made(Source):
    """Forty rows of ones, but for what is given."""

    def __init__(self, **given):
        self.given = given

    def answer(self, name, usual):
        found = self.given.get(name, usual)
        return found() if callable(found) else found

    def __len__(self):
        return self.answer("length", 40)

    def rows(self, indices):
        return self.answer("rows", np.ones((len(indices), 2)))

    @property
    def targets(self):
        return self.answer("targets", np.arange(40) % 2)

    @property
    def classes(self):
        return self.answer("classes", ())

    @property
    def files(self):
        return self.answer("files", ())

    @property
    def arrays(self):
        return self.answer("arrays", ())


def raising(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize("member", ["length", "rows", "targets", "classes", "files", "arrays"])
@pytest.mark.parametrize(
    ("act", "told"),
    [
        (raising(Odd("no")), "Odd: no"),
        (raising(OSError("a\nb")), "OSError: a$"),
        (raising(ValueError("\x1b[2J")), r"ValueError: \\x1b\[2J$"),
        (sys.exit, "SystemExit"),
    ],
)
def test_whatever_a_source_raises_is_one_line_that_says_where(member, act, told):
    with pytest.raises(DataError, match=f"^(row 0 of )?x .*{told}"):
        _ = Data(Made(**{member: act})).fingerprint


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TrialFailed("no"), DataError("no")])
def test_ctrl_c_and_what_has_a_meaning_goes_through(error):
    with pytest.raises(type(error)):
        Data(Made(rows=raising(error)))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"classes": 5}, "x.classes is a list of names that differ"),
        ({"classes": "ab"}, "x.classes is a list of names that differ.*got 'ab'"),
        ({"classes": ["a", "a"]}, "x.classes is a list of names that differ"),
        ({"classes": ["a", "b\n"]}, r"of printable characters, got 'b\\n'"),
        ({"classes": np.arange(2)}, "x.classes is a list of names"),
        ({"files": "x"}, "x.files is a list of paths, got 'x'"),
        ({"files": [5]}, "x.files is a list of paths, got 5 in it"),
        ({"files": lambda: (Path("x") for _ in iter(int, 1))}, "x.files is a list of paths"),
        ({"files": [Path("nowhere")]}, "x cannot be read: FileNotFoundError"),
        ({"files": ["a\0b"]}, "x cannot be read: ValueError: embedded null byte"),
        ({"arrays": [[1]]}, r"x.arrays is a list of arrays of numbers, got \[\[1\]\]"),
        ({"rows": lambda: np.broadcast_to(0.0, (1, 10**13))}, "cannot be read|is wanted"),
    ],
)
def test_junk_is_refused(given, told):
    with pytest.raises(DataError, match=told):
        _ = Data(Made(**given)).fingerprint


def test_files_may_be_named_by_texts(tmp_path):
    file = tmp_path / "rows"
    file.write_text("a")
    before = Data(Made(files=[str(file)])).fingerprint
    file.write_text("ab")
    assert Data(Made(files=[file])).fingerprint != before
