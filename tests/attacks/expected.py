"""Calls of which it is known how they must end; most train nothing, some a tiny network."""

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.training import backend
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.guard import judge_call

_SECONDS = 60.0
_LOADED = ("keras", "pandas", "sklearn.compose", "sklearn.feature_extraction.text")


@dataclass(frozen=True)
class Call:
    """A call, and how it must end.

    Args:
        name: of the case.
        call: does it.
        expect: "clear" (refused in one line), "works", or "either".
        use: what is done with the result.
    """

    name: str
    call: Callable[[], Any]
    expect: str = "clear"
    use: Callable[[Any], object] = repr


def attack(name: str, calls: Sequence[Call], sample: int | None, seed: int) -> Figures:
    """The figures of these calls, or of so many drawn by the seed."""
    backend.choose()
    for module in _LOADED:
        importlib.import_module(module)  # now, because under limits they may break half-way
    figures = Figures(name)
    for each in show_progress(name, draw(calls, sample, seed)):
        with warnings.catch_warnings(action="ignore"):
            verdict, seen = judge_call(each.call, each.use, seconds=_SECONDS)
        verdict, seen = _compare(each.expect, verdict, seen)
        figures.add(verdict, each.name, seen)
    return figures


def _compare(expect: str, verdict: str, seen: str) -> tuple[str, str]:
    if expect == "clear" and verdict == "works":
        return "wrongly accepted", "nothing was said"
    if expect == "works" and verdict == "clear":
        return "wrongly refused", seen
    return verdict, seen
