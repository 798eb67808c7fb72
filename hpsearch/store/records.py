"""What the store gives back: searches, and the events of their journals."""

from dataclasses import dataclass

from hpsearch.core.task import Metric, higher_is_better
from hpsearch.core.trial import Outcome, Pause, Suggestion

COMPARED = ("task", "measure", "evaluator", "data", "direction")
"""The fields of a search that make its trials' values comparable with those of another search."""


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What a search is: the first five fields name it, the others must not change under it.

    searcher, evaluator: labels. measure: the metric as rankings compare it. data: fingerprint.
    space: JSON. training: JSON of what else decides a trial's value. versions: JSON.
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

    @property
    def metric(self) -> Metric:
        return Metric(self.measure, "max" if higher_is_better(self.direction) else "min")

    @property
    def comparison(self) -> tuple[str, ...]:
        """What has to be the same for values to compare: the fields named in COMPARED."""
        return tuple(getattr(self, name) for name in COMPARED)

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return self.study, self.searcher, self.evaluator, self.seed, self.backend


@dataclass(frozen=True, slots=True)
class Asked:
    trial: int
    answer: Suggestion | Pause
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    trial: int
    outcome: Outcome
