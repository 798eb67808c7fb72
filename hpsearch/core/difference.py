"""The difference of two models' values, with its error."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.core import ties


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """By how much one value is larger than another.

    Args:
        value: the first minus the second.
        se: its standard error; None where it is not known.
        folds: over how many folds the values were paired; 0: they were not.
        significant: whether a paired test at 5 % shows a difference, by
            `ties.are_indistinguishable`; None where nothing was paired.
    """

    value: float
    se: float | None
    folds: int = 0
    significant: bool | None = None

    def __repr__(self) -> str:
        error = "" if self.se is None else f" ± {self.se:.4f}"
        return f"Difference({self.value:+.4f}{error}, {self.verdict})"

    @property
    def verdict(self) -> str:
        """In words, how it was compared and what that shows."""
        if self.significant is None:
            return "not paired"
        shown = "significant at 5 %" if self.significant else "not significant at 5 %"
        return f"paired over {self.folds} fold{'s' if self.folds > 1 else ''}: {shown}"


def compare_values(
    first: tuple[float, float | None],
    second: tuple[float, float | None],
    paired: ties.Differences,
    share: float | None,
) -> ValueDifference:
    """The difference of two values.

    Args:
        first, second: value and standard error.
        paired: the differences by split and seed; empty where the two have other splits. On a
            single split of one seed there is nothing to pair.
        share: the ratio of validation rows to training rows; None: unknown, so that nothing is
            paired.

    The errors of values that are not paired are taken as independent.
    """
    value = first[0] - second[0]
    if share is not None and sum(map(len, paired)) > 1:
        return ValueDifference(
            value,
            _paired_error(paired, share),
            len(paired),
            not ties.are_indistinguishable(paired, share),
        )
    errors = [se for _, se in (first, second) if se is not None]
    return ValueDifference(value, math.hypot(*errors) if len(errors) == 2 else None)


def _paired_error(paired: Sequence[Sequence[float]], share: float) -> float:
    """The standard error of the mean difference: over splits, or over the seeds of one split."""
    if len(paired) == 1:
        return ties.standard_error(paired[0], 0.0)
    return ties.standard_error([statistics.fmean(seeds) for seeds in paired], share)
