"""k-fold cross-validation."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import check_counts, check_switches
from hpsearch.core.task import Task
from hpsearch.evaluators.base import Evaluator
from hpsearch.evaluators.splits import kfold, refuse_given_part
from hpsearch.evaluators.time_order import refuse_shuffling
from hpsearch.training.base import Split

_MOST_FITS = 10_000  # of one trial


@dataclass(frozen=True, slots=True)
class KFold(Evaluator):
    """Train once for each fold, on the rows of all other folds, and validate on the fold.

    Args:
        stratify: keep the shares of the classes; None does so for shuffled classifications.
        groups: never split the rows of a group of `Data.groups`.
        repeats: do it so many times with other folds, and average over all.
        shared_batches: all trials train on the same rows in each step; see `Evaluator`.
        shuffle: False takes the rows in their order: each fold is a block of neighbours, as in
            scikit-learn's `KFold(shuffle=False)`. With stratify=True, or groups=True, folds are
            those of its StratifiedKFold, GroupKFold or StratifiedGroupKFold without shuffling.

    Folds train on rows that lie after those they validate on: data with times is refused, and
    `Forward` is for it.
    """

    later_options: ClassVar[tuple[str, ...]] = ("shared_batches", "shuffle")

    folds: int = 5
    stratify: bool | None = None
    groups: bool = False
    repeats: int = 1
    shared_batches: bool = False
    shuffle: bool = True

    def __post_init__(self) -> None:
        check_counts(self, folds=self.folds, repeats=self.repeats)
        check_switches(
            self,
            stratify=self.stratify,
            groups=self.groups,
            shared_batches=self.shared_batches,
            shuffle=self.shuffle,
        )
        if self.folds < 2:
            raise ValueError(f"KFold needs folds >= 2, got folds={self.folds}; or use Holdout")
        if self.repeats > 1 and not self.shuffle:
            raise ValueError(
                f"repeats={self.repeats} would give the same folds again with shuffle=False; drop "
                "one of the two"
            )
        if self.fits > _MOST_FITS:
            raise ValueError(
                f"KFold needs folds * repeats <= {_MOST_FITS:,}, got {self.folds} * {self.repeats}"
            )

    @property
    def fits(self) -> int:
        return self.folds * self.repeats

    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        refuse_given_part(self.label, task, data)
        refuse_shuffling(self.label, task, data)
        if self.groups and data.groups is None:
            raise DataError(f"groups=True needs Data(groups=...), and task {task.name} has none")
        stratify = self.shuffle if self.stratify is None else self.stratify
        classes = task.classes(data) if stratify else None
        if self.stratify and classes is None:
            raise DataError(
                f"stratify=True needs a classification, but task {task.name} is not one"
            )
        groups = data.groups if self.groups else None
        return [
            split
            for repeat in range(self.repeats)
            for split in kfold(
                data.rows,
                self.folds,
                classes=classes,
                groups=groups,
                seed=seed + repeat if self.shuffle else None,
            )
        ]

    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """The folds' standard deviation over the root of their number.

        Repeats make the mean more precise but bring no new rows: they do not count as more folds.
        """
        return statistics.stdev(values) / math.sqrt(self.folds)
