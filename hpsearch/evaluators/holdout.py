"""One split into training and validation rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import check_counts, check_switches
from hpsearch.core.rules import brief, why_no_number
from hpsearch.core.task import Task
from hpsearch.core.times import number_instants
from hpsearch.evaluators.base import Evaluator, binomial_error
from hpsearch.evaluators.splits import holdout, refuse_given_part
from hpsearch.evaluators.time_order import find_past_rows, refuse_shuffling
from hpsearch.training.base import Split


@dataclass(frozen=True, slots=True)
class Holdout(Evaluator):
    """Validate on a share of the rows, or on a number of them.

    Args:
        fraction: the share of the rows, in (0, 1); 0.2 where neither it nor `rows` is given.
        rows: a number of rows instead.
        stratify: keep the shares of the classes; None does so for a shuffled classification.
        shuffle: False takes the last rows in their order, as many published splits do. Where rows
            have times, those of the first validation row's time are not trained on, nor those whose
            targets are known only after it.
        shared_batches: all trials train on the same rows in each step; see `Evaluator`.
    """

    fraction: float | None = None
    rows: int | None = None
    stratify: bool | None = None
    shuffle: bool = True
    shared_batches: bool = False

    def __post_init__(self) -> None:
        if self.fraction is not None and self.rows is not None:
            raise ValueError(
                f"Holdout takes fraction or rows, not both; got fraction={brief(self.fraction)} "
                f"and rows={brief(self.rows)}"
            )
        number = self.fraction is None or not why_no_number(self.fraction)
        if self.fraction is not None and not (number and 0 < self.fraction < 1):
            raise ValueError(f"Holdout needs 0 < fraction < 1, got fraction={brief(self.fraction)}")
        check_counts(self, rows=self.rows)
        check_switches(
            self, stratify=self.stratify, shuffle=self.shuffle, shared_batches=self.shared_batches
        )
        if self.fraction is None and self.rows is None:
            object.__setattr__(self, "fraction", 0.2)
        if self.stratify and not self.shuffle:
            raise ValueError("stratify=True has no effect with shuffle=False; drop one of the two")

    @property
    def fits(self) -> int:
        return 1

    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        refuse_given_part(self.label, task, data)
        if self.shuffle:
            refuse_shuffling(self.label, task, data)
        rows = self.rows if self.fraction is None else round(data.rows * self.fraction)
        assert rows is not None
        if not 0 < rows < data.rows:
            raise DataError(
                f"{self.label} leaves {max(data.rows - rows, 0)} of {data.rows} rows to train on "
                f"and {rows} to validate on; both need at least one"
            )
        if data.times is not None:
            return [self._last_rows(task, data, rows)]
        classes = task.classes(data) if self.shuffle and self.stratify is not False else None
        if self.stratify and classes is None:
            raise DataError(
                f"stratify=True needs a classification, but task {task.name} is not one"
            )
        return [holdout(data.rows, rows, classes=classes, shuffle=self.shuffle, seed=seed)]

    def _last_rows(self, task: Task, data: Data, rows: int) -> Split:
        """The last rows to validate on, and what is known before the first of them to train on."""
        first = data.rows - rows
        train = find_past_rows(data, number_instants(data.times, data.rows), first)
        if not len(train):
            raise DataError(
                f"{self.label} leaves no row of task {task.name} to train on that is known, with "
                f"its target, when the validation begins, at row {first}; validate on fewer rows"
            )
        return Split(train, np.arange(first, data.rows))

    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """The binomial error of an accuracy; None for other metrics."""
        return binomial_error(values[0], metric, rows)
