"""scikit-learn's estimators that serve as baselines, with its defaults.

They are imported when they are made, so that a study that trains none imports none.
"""

from collections.abc import Callable
from typing import Any

from hpsearch.core.metric import Metric
from hpsearch.core.row_scores import ABSOLUTE
from hpsearch.core.task import Task

_ROWS_WITHOUT_DRAWING = 10_000
"""Up to so many rows, boosting stops without holding out rows that it draws."""


def make_trivial(task: Task) -> Any:
    """The frequencies of classes; the mean of numbers, or their median."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if task.classifies:
        return DummyClassifier(strategy="prior")
    return DummyRegressor(strategy="median" if wants_median(task.objective) else "mean")


def wants_median(metric: Metric) -> bool:
    """Whether the median is the best constant by a metric, not the mean."""
    return metric.own_name in (*ABSOLUTE, "median_absolute_error", "neg_mean_absolute_error")


def make_linear(task: Task, *, scaled: bool, weighed: bool) -> Any:
    """A logistic or a ridge regression.

    Args:
        task: its kind is known.
        scaled: whether it standardises columns first.
        weighed: whether rows have weights.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression() if task.classifies else Ridge()
    steps = [StandardScaler()] if scaled else []
    return make_pipeline(*steps, _for_each_output(task, model, weighed=weighed))


def make_boosting(task: Task, *, weighed: bool) -> Any:
    """Boosting of trees over histograms."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if task.classifies:
        model: Any = HistGradientBoostingClassifier()
    else:
        model = HistGradientBoostingRegressor(
            loss="absolute_error" if wants_median(task.objective) else "squared_error"
        )
    return _for_each_output(task, model, weighed=weighed, takes_several=False)


def _for_each_output(task: Task, model: Any, *, weighed: bool, takes_several: bool = True) -> Any:
    """A model of each label or output, where the task has several of them."""
    if task.kind == "multilabel":
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.multioutput import MultiOutputClassifier

        # One-vs-rest also takes labels that no row of a fold has, but no weights.
        return MultiOutputClassifier(model) if weighed else OneVsRestClassifier(model)
    if not task.classifies and task.outputs != 1 and not takes_several:
        from sklearn.multioutput import MultiOutputRegressor

        return MultiOutputRegressor(model)
    return model


def boosting_draws(rows: int) -> bool:
    """Whether boosting on so many rows depends on the seed."""
    return rows > _ROWS_WITHOUT_DRAWING


def make_copies(given: Any) -> Callable[[], Any]:
    """Make estimators like one that the user gave, or as the user's function returns them."""
    if callable(given):
        return given  # type: ignore[no-any-return]

    def copy() -> Any:
        from sklearn.base import clone

        return clone(given)

    return copy
