"""Records that the store returns: searches, and the events of their journals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hpsearch.core.metric import Direction, Metric, higher_is_better
from hpsearch.core.trial import Outcome, Pause, Suggestion

COMPARED = ("task", "measure", "evaluator", "data", "direction")
"""Two searches whose values may be compared have these fields in common."""

BASELINES = "baselines"
"""What stands for the searcher in the search that holds a study's baselines."""


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """A search: the first five fields identify it; most others must stay the same while it is continued.

    Args:
        searcher, evaluator: their labels.
        measure: the metric as rankings compare it.
        data: the data's fingerprint.
        space: JSON.
        training: JSON of everything else that decides a trial's value.
        source: a digest of the study's file.
        versions: JSON.
        began: seconds since 1970.
    """

    study: str
    searcher: str
    evaluator: str
    seed: int
    backend: str
    task: str
    measure: str
    direction: str
    data: str
    space: str
    training: str
    file: str
    source: str
    versions: str
    began: float = 0.0
    id: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A search by its row in the store."""
        # Pairs of rows had another evaluator in earlier versions: their searches go on.
        label = re.sub(
            r"^FixedSplits\(pairs=(\d+) given", r"Given(parts=\1 pairs", row["evaluator"]
        )
        return cls(**{**row, "evaluator": label})

    @property
    def metric(self) -> Metric:
        return Metric(self.measure, "max" if higher_is_better(self.direction) else "min")

    @property
    def has_baselines(self) -> bool:
        """Whether its trials are plain models to compare with, not points of the study's space."""
        return self.searcher == BASELINES

    @property
    def comparison(self) -> tuple[str, ...]:
        """The values of the fields in COMPARED."""
        return tuple(getattr(self, name) for name in COMPARED)

    @property
    def notes(self) -> dict[str, Any]:
        """What other tools are told of it, as plain values by name."""
        names = ("study", "task", "searcher", "evaluator", "seed", "backend", "direction", "file")
        return {"metric": self.measure} | {name: getattr(self, name) for name in names}

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return self.study, self.searcher, self.evaluator, self.seed, self.backend


@dataclass(frozen=True, slots=True)
class MetricCurves:
    """The curves of a metric recorded beside the task's, of one fit.

    Args:
        direction: which values are better, as the task said when the fit was trained.
        train, validation: a value an epoch; NaN where the metric is not defined.
    """

    direction: Direction
    train: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AskedEvent:
    """The searcher answered. id: the trial's number across the store; None for a pause."""

    trial: int
    answer: Suggestion | Pause
    id: int | None = None


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """A trial ended, and the searcher was told its outcome."""

    trial: int
    outcome: Outcome
