"""Options as text and back: what is shown as a command is what it was shown for."""

import dataclasses
import html
import json
import os
import re
import shlex
import subprocess
import sys
import types
import typing
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch import evaluators, searchers
from hpsearch.core.option_text import option_classes, option_text, parse_options, settings_text
from hpsearch.evaluators.given_pairs import GivenPairs
from hpsearch.evaluators.given_splitter import GivenSplitter
from hpsearch.report import reproduction

METHODS = (*option_classes(searchers), *option_classes(evaluators))
WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]),
    max_size=8,
)


def values(hint):
    """All that an option of this type may be."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return st.one_of(*map(values, typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0]), max_size=3).map(tuple)
    known = {
        GivenPairs: st.none(),  # of a study only: the command line cannot name rows
        GivenSplitter: st.none(),
        int: st.integers(1, 100),
        float: st.floats(0.01, 0.99),
        bool: st.booleans(),
        str: WORDS,
    }
    return known[hint] if hint is not types.NoneType else st.none()


@st.composite
def methods(draw, cls=None):
    """A searcher or an evaluator, of this class or of any, with any options that it takes."""
    cls = cls or draw(st.sampled_from(METHODS))
    hints = typing.get_type_hints(cls)
    chosen = {field.name: draw(values(hints[field.name])) for field in dataclasses.fields(cls)}
    for name in [None, *chosen]:  # some exclude each other
        with suppress(ValueError):
            return cls(**{key: value for key, value in chosen.items() if key != name})
    return cls()


@settings(max_examples=200)
@given(methods(), st.data())
def test_a_label_becomes_text_and_options_again(options, data):
    text = reproduction.command_option(options.label)
    assert text is not None
    (words,) = (shlex.split(shlex.quote(text)),)
    again = parse_options(words[0], "option", METHODS)
    assert again.label == options.label
    # Whatever a study says by now: what labels tell is as it was.
    current = data.draw(methods(type(options)))
    assert parse_options(text, "option", METHODS, current).label == options.label


@dataclasses.dataclass(frozen=True)
class Any:
    a: object = None
    b: object = None


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple),
                            st.dictionaries(WORDS, inner, max_size=2)),
    max_leaves=6,
)  # fmt: skip


@given(PLAIN, PLAIN)
def test_any_plain_value_goes_there_and_back(a, b):
    text = option_text(f"Any(a={a!r}, b={b!r})", [Any])
    assert parse_options(text, "option", [Any]) == Any(a, b)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("any:a=it's,b=2", Any("it's", 2)),
        ("any:a=x y,b='x,y'", Any("x y", "x,y")),
        ("any:(1,2),b=3", Any((1, 2), 3)),
        ("any:a=('units',)", Any(("units",))),
        ('any:a="a\\"b,c"', Any('a"b,c')),
        ("any:a='\\\\',b=1", Any("\\", 1)),
        ("any:", Any()),
    ],
)
def test_what_people_write_is_read(text, options):
    assert parse_options(text, "option", [Any]) == options


def test_a_method_of_ones_own_is_left_to_the_study():
    assert reproduction.command_option("of their own") is None
    assert reproduction.command_option("Mine(a=1)") is None


STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(units=Int(4, 8), dropout=Float(0.0, 0.5)),
    build=mlp.model(),
    searcher=GrowThenRegularize(trials=3, epochs=2, steps=2, grow=("units",), regularize=("dropout",)),
    evaluator=Holdout(rows=300, stratify=False),
    seed=3,
)
"""


@pytest.mark.slow
def test_the_command_that_a_report_shows_repeats_the_search(hpsearch):
    Path("my studies").mkdir()
    study = Path("my studies/it_s.py")
    study.write_text(STUDY)
    code, _, err = hpsearch("run", study, "--inline")
    assert code == 0, err
    assert hpsearch("report", "it_s")[0] == 0
    page = Path("report.html").read_text()
    command = html.unescape(re.search('<pre class="command">(.*?)</pre>', page, re.S)[1])
    first = json.loads(hpsearch("rank", "--json")[1])
    # Another searcher and seed, as a study may have by now.
    changed = re.sub(
        r"searcher=.*\n.*\n    seed=3", "searcher=GrowThenRegularize(epochs=9, grow=())", STUDY
    )
    study.write_text(changed)
    program, *words = shlex.split(command)
    code, _, err = hpsearch(*words, "--inline", "--store", "again.db")
    assert (program, code) == ("hpsearch", 0), err
    again = json.loads(hpsearch("rank", "--json", "--store", "again.db")[1])
    kept = ("trial", "params", "value", "searcher", "evaluator")
    assert [[row[k] for k in kept] for row in again] == [[row[k] for k in kept] for row in first]


SETTINGS = """
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import OrdinalEncoder
from hpsearch.core.option_text import settings_text

words = {"cheap", "dear", "fair", "fine"}
print(settings_text([
    OrdinalEncoder(categories=[np.array(["low", "mid"], object)]),
    CountVectorizer(vocabulary=words),
    np.array(["2024-01-01"], "datetime64[D]"),
]))
"""


def test_settings_are_the_same_text_in_every_process():
    found = {
        subprocess.run(
            [sys.executable, "-c", SETTINGS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1
    assert settings_text({"a", "b"}) != settings_text({"a", "c"})
    one, other = (np.array(["low", high], object) for high in ("mid", "high"))
    assert settings_text(one) != settings_text(other)
