"""The names of learning curves, and their mean over folds and over trainings."""

from collections.abc import Sequence
from statistics import fmean

CURVES = ("train", "validation", "train_loss", "validation_loss")
"""A fit's curves, by the fields of `core.trial.Curve`."""


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean at each epoch, up to the end of the shortest curve.

    Beyond that end the mean would jump, because it would be over fewer curves.

    >>> mean_curve([[1.0, 2.0, 9.0], [3.0, 4.0]])
    [2.0, 3.0]
    """
    return [fmean(values) for values in zip(*curves, strict=False)]
