"""Predictions that have been made already, for scikit-learn's scorers to ask for.

A scorer asks an estimator for predictions of rows. Here a network has predicted a fold's rows after
an epoch, and the rows are at hand no longer.
"""

import inspect
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from hpsearch.core.arrays import Array
from hpsearch.core.option_text import settings_text


class PredictedRows:
    """Stands for the rows that were predicted, which a scorer may only hand to the estimator."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise ValueError(
            "a scorer gets no rows here: let it use estimator.predict(X) or predict_proba(X) alone"
        )

    __array__ = __getitem__ = __iter__ = __len__ = __getattr__ = _refuse


class PredictedClasses(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that has predicted.

    Args:
        classes: the sorted labels.
        predicted: probabilities of shape (rows, classes), or of the second class, (rows,).
    """

    def __init__(self, classes: Array, predicted: Array) -> None:
        self.classes, self.predicted = classes, predicted
        self.classes_ = classes

    def predict(self, rows: PredictedRows) -> Array:
        return np.asarray(self.classes_[self.predict_proba(rows).argmax(axis=1)])

    def predict_proba(self, rows: PredictedRows) -> Array:
        known = self.predicted.astype(np.float64)
        if known.ndim == 1:
            return np.column_stack([1 - known, known])
        # Rounded in float32, rows do not quite add up to 1, as some scorers demand.
        return np.asarray(known / known.sum(axis=1, keepdims=True))


class PredictedNumbers(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor that has predicted. predicted: numbers of shape (rows,) or (rows, outputs)."""

    def __init__(self, predicted: Array) -> None:
        self.predicted = predicted

    def predict(self, rows: PredictedRows) -> Array:
        return self.predicted


@dataclass(frozen=True, eq=False)
class ScorerMetric:
    """A scorer of scikit-learn's as a metric of a task: `(y_true, y_pred) -> number`.

    Args:
        name: in `scoring`.
        scorer: `scorer(estimator, X, y)`.
        classes: the sorted labels that the task's numbers stand for; None of a regression.
        takes_weights: whether the scorer takes sample_weight.
    """

    name: str
    scorer: Any
    classes: Array | None
    takes_weights: bool

    @property
    def __name__(self) -> str:
        """What rankings call it: a metric of the product may have the plain name."""
        return "scoring_" + "".join(each if each.isalnum() else "_" for each in self.name)

    def __call__(self, y: Array, predicted: Array, sample_weight: Array | None = None) -> float:
        options = {"sample_weight": sample_weight} if self.takes_weights else {}
        if sample_weight is None:
            options = {}
        if self.classes is None:
            estimator: Any = PredictedNumbers(predicted)
            return float(self.scorer(estimator, PredictedRows(), y, **options))
        if y.ndim == 2:  # one-hot
            y = y.argmax(axis=1)
        estimator = PredictedClasses(self.classes, predicted)
        labels = self.classes[y.astype(np.int64)]
        return float(self.scorer(estimator, PredictedRows(), labels, **options))

    def try_on(self, y: Array) -> float:
        """The score of predictions that know nothing. y: in the user's own form."""
        if self.classes is None:
            return self(y, np.full(y.shape, max(float(np.mean(y)), 1e-3)))
        count = len(self.classes)
        shape = (len(y),) if count == 2 else (len(y), count)
        return self(np.searchsorted(self.classes, y), np.full(shape, 1 / count))

    def get_params(self, deep: bool = False) -> dict[str, Any]:
        """What tells it from others, as scikit-learn's objects say it."""
        scorer = self.scorer
        is_function = inspect.isroutine(scorer)
        text = settings_text(scorer) if is_function else repr(scorer)
        return {"scorer": text, "classes": None if self.classes is None else list(self.classes)}
