"""Splits that the user gives: a part of the data, pairs of rows, or a splitter."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import check_switches
from hpsearch.core.rules import brief
from hpsearch.core.task import Task
from hpsearch.evaluators.base import Evaluator, binomial_error
from hpsearch.evaluators.given_pairs import GivenPairs, read_pairs
from hpsearch.evaluators.given_splitter import GivenSplitter, is_splitter, make_given_splitter
from hpsearch.evaluators.splits import refuse_given_part
from hpsearch.evaluators.time_order import refuse_future
from hpsearch.training.base import SPLIT_OF_STREAMS, Split


@dataclass(frozen=True, slots=True)
class Given(Evaluator):
    """Validate on rows that are given: by the data, by their numbers, or by a splitter.

        Given()                                  # Data(x_val=, y_val=)
        Given(train, validation)                 # row numbers or masks, each of shape (n,)
        Given([(train, validation), ...])        # any number of such pairs
        Given(TimeSeriesSplit(5))                # any splitter of scikit-learn's

    No row may be trained on and validated in one split; where rows have times, none may be trained
    on that is not known, with its target, when the validation begins. Rows may be left out: it is told. A
    splitter that is random and has no seed gets the study's; one that needs groups gets
    `Data(groups=)`, one that stratifies the classes.

    Args:
        train: row numbers, pairs, or a splitter.
        validation: row numbers; only with row numbers to train on.
        shared_batches: all trials train on the same rows in each step; see `Evaluator`.
        parts: what was given, checked; made from the arguments above.
    """

    train: InitVar[Any] = None
    validation: InitVar[Any] = None
    shared_batches: bool = False
    parts: GivenPairs | GivenSplitter | None = None

    def __post_init__(self, train: Any, validation: Any) -> None:
        check_switches(self, shared_batches=self.shared_batches)
        if not isinstance(self.parts, GivenPairs | GivenSplitter | None):
            raise ValueError(f"Given makes parts itself, of what it is given; got {self.parts!r}")
        if train is None and validation is not None:
            raise DataError(
                f"Given needs the rows to train on too, got validation={brief(validation)}; or give "
                "the part by Data(x_val=, y_val=)"
            )
        if train is not None:
            object.__setattr__(self, "parts", _read_parts(train, validation))

    @property
    def fits(self) -> int | None:
        if isinstance(self.parts, GivenPairs):
            return len(self.parts.splits)
        return 1 if self.parts is None else self.parts.folds

    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        if self.parts is None and data.given_streams is not None:
            return [SPLIT_OF_STREAMS]
        if self.parts is None:
            if not data.validation_rows:
                raise DataError(
                    f"Given() needs Data(x_val=, y_val=), and task {task.name} has none; give it "
                    "these, or name the rows: Given(train, validation)"
                )
            order = np.arange(data.rows)
            return [Split(order[: -data.validation_rows], order[-data.validation_rows :])]
        refuse_given_part(self.label, task, data)
        parts = self.parts
        pairs = parts.split(task, data, seed) if isinstance(parts, GivenSplitter) else parts
        pairs.check_rows(self.label, data.rows)
        refuse_future(self.label, task, data, pairs.splits)
        return list(pairs.splits)

    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """Of several splits: their standard deviation over the root of the number of splits.

        Splits that validate rows again, as repeats do, bring no new rows and do not count as more;
        None where some rows are validated more often than others, as by random splits. Of a single
        split it is the binomial error of an accuracy, as of a `Holdout`.
        """
        if len(values) == 1:
            return binomial_error(values[0], metric, rows)
        independent = None if self.parts is None else self.parts.independent_folds
        return None if independent is None else statistics.stdev(values) / math.sqrt(independent)


def as_evaluator(value: Any) -> Any:
    """`Given` of pairs or of a splitter; anything else as it is.

    Raises DataError where pairs are wrong.
    """
    is_text = isinstance(value, str | bytes)
    if isinstance(value, Evaluator | type) or is_text:
        return value
    return Given(value) if is_splitter(value) or isinstance(value, Iterable) else value


def _read_parts(train: Any, validation: Any) -> GivenPairs | GivenSplitter:
    if validation is not None:
        return read_pairs([(train, validation)])
    return make_given_splitter(train) if is_splitter(train) else read_pairs(train)
