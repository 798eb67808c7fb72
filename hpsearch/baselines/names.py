"""What a baseline is, and the names of those that hpsearch makes itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hpsearch.core.option_text import check_counts

MAJORITY = "majority class"
MEAN = "mean"
MEDIAN = "median"
PREVIOUS = "previous value"
SEASONAL = "seasonal value"
LOGISTIC = "logistic regression"
RIDGE = "ridge regression"
BOOSTING = "gradient boosting"
TEXT = "TF-IDF, linear"

NAMES = (MAJORITY, MEAN, MEDIAN, PREVIOUS, SEASONAL, LOGISTIC, RIDGE, BOOSTING, TEXT)
TRIVIAL = (MAJORITY, MEAN, MEDIAN)
NAIVE = (PREVIOUS, SEASONAL)


@dataclass(frozen=True, slots=True)
class SeasonalValue:
    """The baseline that predicts the target of one season before.

    Args:
        steps: rows that a season has, as 24 of hourly rows.
    """

    steps: int

    def __post_init__(self) -> None:
        check_counts(self, steps=self.steps)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A plain model to compare a search with.

    Args:
        name: as rankings show it.
        make: returns an estimator of scikit-learn's that is not fitted; None for the previous and
            the seasonal value, which learn nothing.
        settings: a text that differs where the model does.
        draws: whether another seed gives another value.
        weighs: whether it learns by the weights of rows. The trivial one does only where metrics
            are weighted too: else it would not name the most frequent class.
        steps: rows of a season, of the seasonal value.
    """

    name: str
    make: Callable[[], Any] | None
    settings: str
    draws: bool = False
    weighs: bool = True
    steps: int | None = None
