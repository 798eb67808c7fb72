"""Rolling origin: training on the past, validation on what comes next."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from itertools import pairwise

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import check_counts, check_switches
from hpsearch.core.rules import MOST_COUNTED, brief
from hpsearch.core.task import Task
from hpsearch.core.times import number_instants
from hpsearch.evaluators.base import Evaluator
from hpsearch.evaluators.splits import refuse_given_part
from hpsearch.evaluators.time_order import find_past_rows
from hpsearch.training.base import Split


@dataclass(frozen=True, slots=True)
class Forward(Evaluator):
    """Train on the past and validate on what comes next, fold by fold along time.

    Rolling origin (Tashman, International Journal of Forecasting 16, 2000), as scikit-learn's
    TimeSeriesSplit has it. An instant is a distinct value of `Data(times=)`, so that rows of
    one time are never parted; without times, each row is one, in their order. The last fold ends
    with the last instant.

    No row is trained on whose target is known only after the validation's first instant, by
    `Data(target_times=)`: of targets 24 instants ahead, the last 23 instants before the validation
    are left out, whatever the gap.

    Args:
        folds: how many there are, at least 2.
        horizon: instants that each fold validates on; None: instants // (folds + 1).
        gap: instants to leave out between training and validation.
        window: how many instants each fold trains on, at most; None: all the past.
        shared_batches: all trials train on the same rows in each step; see `Evaluator`.
        shuffle: only False: there is nothing to shuffle.

    Raises DataError, in `splits`, where a fold has nothing to train on.
    """

    folds: int = 5
    horizon: int | None = None
    gap: int = 0
    window: int | None = None
    shared_batches: bool = False
    shuffle: InitVar[bool] = False

    def __post_init__(self, shuffle: bool) -> None:
        if shuffle is not False:
            raise ValueError(
                f"Forward keeps rows in their order, got shuffle={brief(shuffle)}; drop it, or use "
                "KFold() for rows whose order does not matter"
            )
        check_counts(self, folds=self.folds, horizon=self.horizon, window=self.window)
        check_switches(self, shared_batches=self.shared_batches)
        if self.folds < 2:
            raise ValueError(
                f"Forward needs folds >= 2, got folds={self.folds}; or use Holdout(shuffle=False)"
            )
        whole = isinstance(self.gap, int) and not isinstance(self.gap, bool)
        if not whole or not 0 <= self.gap <= MOST_COUNTED:
            bound = f"<= {MOST_COUNTED:,}" if whole and self.gap > 0 else ">= 0"
            raise ValueError(f"Forward needs gap {bound} instants, got gap={brief(self.gap)}")

    @property
    def fits(self) -> int:
        return self.folds

    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        refuse_given_part(self.label, task, data)
        instants = number_instants(data.times, data.rows)
        count = int(instants[-1]) + 1
        horizon = self.horizon or count // (self.folds + 1)
        begin = count - self.folds * horizon  # where the first validation begins
        if horizon == 0 or begin - self.gap < 1:
            raise DataError(
                f"{self.label} needs more than {self._least_instants(horizon)} instants, and task "
                f"{task.name} has {count}; use fewer folds, or a smaller horizon or gap"
            )
        # Rows of one instant are neighbours, so that a fold is a block of rows.
        edges = np.searchsorted(instants, begin + horizon * np.arange(self.folds + 1))
        found = []
        for fold, (first, end) in enumerate(pairwise(edges)):
            train = find_past_rows(data, instants, int(first), gap=self.gap, window=self.window)
            if not len(train):
                raise DataError(
                    f"fold {fold} of {self.label} has no row to train on: none of the targets of "
                    f"its {instants[first]} instants is known when its validation begins "
                    "(target_times); use fewer folds, or a smaller horizon"
                )
            found.append(Split(train, np.arange(first, end)))
        self._check_window(task, data, instants, int(edges[-2]), len(found[-1].train))
        return found

    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """The folds' standard deviation over the root of their number.

        This is the method of batch means (Schmeiser, Operations Research 30, 1982): folds are
        blocks of neighbouring instants, and their means are taken as independent. That holds where
        a fold is long against the time for which errors depend on each other; where it is not, the
        error is too small. Earlier folds train on fewer rows, and what they lose by that counts as
        luck too: that makes it larger. It says nothing of a future that is unlike these folds.
        """
        return statistics.stdev(values) / math.sqrt(self.folds)

    def _least_instants(self, horizon: int) -> int:
        return self.folds * max(1, horizon) + self.gap

    def _check_window(
        self, task: Task, data: Data, instants: np.ndarray, first: int, rows: int
    ) -> None:
        """Raise DataError where the window is longer than the longest past."""
        if self.window is None:
            return
        past = find_past_rows(data, instants, first, gap=self.gap)
        if len(past) == rows:
            longest = int(instants[past[-1]]) + 1
            raise DataError(
                f"window={self.window} has no effect: the last fold of task {task.name} trains on "
                f"all of its {longest} instants; drop window, or make it smaller"
            )
