"""What the store says of a study: the best that was found, its baselines, the book's networks."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hpsearch
from hpsearch.core.difference import ValueDifference
from hpsearch.core.errors import HpsearchError
from hpsearch.python_api.opened_store import OpenedStore
from hpsearch.store import RankedTrial
from tests.benchmarks.books.book_studies import BookStudy


@dataclass(frozen=True, slots=True)
class Measured:
    """A trial's value on validation rows, over its seeds.

    Args:
        error: the standard error that rankings have; where they have none (a single split), that
            of the mean over seeds.
        behind: by how much the best that was found is better, paired over folds and seeds; negative
            where it is worse. None of the best itself.
    """

    trial: int
    params: dict[str, Any]
    value: float
    error: float | None
    seeds: int
    behind: ValueDifference | None = None

    @property
    def name(self) -> str:
        """A baseline's name."""
        return str(self.params.get("baseline", ""))


@dataclass(frozen=True, slots=True)
class Found:
    """The trials of a study that a reader asks for.

    Args:
        metric: of the ranking.
        trials: how many of the search are complete.
        best: of the search, the book's networks among them.
        baseline: the best one; None where none was trained.
        networks: the book's, in the order of the study's start points; only those trained.
    """

    metric: str
    trials: int
    best: Measured
    baseline: Measured | None
    networks: Sequence[Measured]


def find(book: BookStudy, folder: Path) -> Found | None:
    """None where the store has no complete trial of the study's search."""
    try:
        store = hpsearch.open(folder / "store.db")
        rows = [row for row in store.rank(book.name) if row.study == book.name]
    except HpsearchError:
        return None
    searched = [row for row in rows if row.baseline is None]
    if not searched:
        return None
    best = searched[0]
    baseline = next((row for row in rows if row.baseline is not None), None)
    points = book.list_networks()
    networks = [row for point in points if (row := _most_trained(searched, point)) is not None]
    return Found(
        best.measure,
        len(searched),
        _measure(store, best),
        None if baseline is None else _measure(store, baseline, best),
        [_measure(store, row, best) for row in networks],
    )


def _most_trained(rows: Sequence[RankedTrial], point: dict[str, Any]) -> RankedTrial | None:
    """The trial of a point with the most seeds: two searches may have tried it."""
    same = [row for row in rows if dict(row.params) == point]
    return max(same, key=lambda row: row.repeats, default=None)


def _measure(store: OpenedStore, row: RankedTrial, best: RankedTrial | None = None) -> Measured:
    trial = store.trial(row.trial)
    behind = None
    if best is not None and best.trial != row.trial:
        compared = store.compare(best.trial, row.trial)
        size = abs(compared.difference.value)
        ahead = compared.better.trial == best.trial
        behind = replace(compared.difference, value=size if ahead else -size)
    values = [score.value for score in trial.trainings.values()]
    error = row.se
    if error is None and len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
    return Measured(row.trial, dict(row.params), row.value, error, len(values), behind)
