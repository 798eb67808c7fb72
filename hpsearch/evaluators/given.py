"""The parts that the data comes in."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.task import Task
from hpsearch.evaluators.base import Evaluator
from hpsearch.evaluators.holdout import Holdout
from hpsearch.training.base import SPLIT_OF_STREAMS, Split


@dataclass(frozen=True, slots=True)
class Given(Evaluator):
    """Train and validate on the parts that the data comes in.

    Args:
        shared_batches: all trials train on the same batches in each step; see `Evaluator`.
    """

    shared_batches: bool = False

    @property
    def fits(self) -> int:
        return 1

    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        if data.given_streams is None:
            raise DataError(f"Given() needs parts, and task {task.name} has none; use Data.streams")
        return [SPLIT_OF_STREAMS]

    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """The binomial error of an accuracy; None for other metrics."""
        return Holdout().standard_error(values, metric, rows)
