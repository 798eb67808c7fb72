"""A search's trials as scikit-learn's table `cv_results_`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch.core.metric import Metric
from hpsearch.runs.in_memory import SearchedTrial


def make_cv_results(
    found: Sequence[SearchedTrial],
    columns: Mapping[str, Metric],
    folds: int,
    *,
    with_train: bool = False,
    error_score: float = math.nan,
) -> dict[str, Any]:
    """GridSearchCV's `cv_results_`: arrays of shape (trials,), in the order of `found`.

    Higher is better: a metric that is better when low is negated, as by scikit-learn's `neg_`
    scorers. A failed trial has error_score; NaN ranks last. Equal trials share the better rank.
    std_test_score divides by n, as in GridSearchCV. Values are of the best epoch of the mean curve,
    which best_epoch holds (0 for a failed trial). Times are of the trial's own epochs, without
    those of the trial it continued.

    Args:
        columns: metrics by the name of their columns: `score` for mean_test_score. The first one
            ranks the trials; the others are of the same epochs.
        with_train: whether there are columns of scores on the training rows too.
        error_score: the scores of a failed trial.
    """
    objective = next(iter(columns.values()))
    seconds = np.full((folds, len(found)), np.nan)
    for trial, searched in enumerate(found):
        if searched.score and objective.loss(searched.score.value) is not None:
            seconds[:, trial] = [curve.seconds for curve in searched.score.folds]
    names = list(dict.fromkeys(name for searched in found for name in searched.params))
    return {
        "mean_fit_time": seconds.mean(axis=0),
        "std_fit_time": seconds.std(axis=0),
        **{f"param_{name}": _column(found, name) for name in names},
        "params": [dict(searched.params) for searched in found],
        "epochs": np.array([searched.epochs for searched in found]),
        "best_epoch": np.array([s.score.best_epoch if s.score else 0 for s in found]),
        **{
            key: values
            for name, metric in columns.items()
            for key, values in _columns_of_metric(
                found, name, metric, objective, folds, error_score
            ).items()
        },
        **{
            key: values
            for name, metric in (columns if with_train else {}).items()
            for key, values in _spread_over_folds(
                f"train_{name}",
                _read_folds(found, "train", metric, objective, folds, error_score),
            ).items()
        },
    }


def _columns_of_metric(
    found: Sequence[SearchedTrial],
    name: str,
    metric: Metric,
    objective: Metric,
    folds: int,
    error_score: float,
) -> dict[str, Any]:
    """The columns of one metric on validation rows. name: after `test_` in theirs."""
    values = _read_folds(found, "validation", metric, objective, folds, error_score)
    columns = _spread_over_folds(f"test_{name}", values)
    if metric == objective:  # by the evaluator, whose rounding decides between equal trials
        sign = 1.0 if metric.higher_is_better else -1.0
        columns[f"mean_test_{name}"] = np.array([_mean(t, sign, error_score) for t in found])
    return {**columns, f"rank_test_{name}": _ranks(columns[f"mean_test_{name}"])}


def _spread_over_folds(name: str, values: Any) -> dict[str, Any]:
    """The columns of a score by folds, its mean and its spread. values: shape (folds, trials)."""
    return {
        **{f"split{fold}_{name}": each for fold, each in enumerate(values)},
        f"mean_{name}": values.mean(axis=0),
        f"std_{name}": values.std(axis=0),
    }


def _read_folds(
    found: Sequence[SearchedTrial],
    part: str,
    metric: Metric,
    objective: Metric,
    folds: int,
    error_score: float,
) -> Any:
    """A metric at the best epochs, shape (folds, trials). part: "train" or "validation"."""
    sign = 1.0 if metric.higher_is_better else -1.0
    values = np.full((folds, len(found)), error_score)
    for trial, searched in enumerate(found):
        if searched.score is None or objective.loss(searched.score.value) is None:
            continue
        epoch = searched.score.best_epoch - 1
        curves = [
            getattr(curve, part) if metric == objective else curve.metrics[metric.name][part]
            for curve in searched.score.folds
        ]
        values[:, trial] = [sign * curve[epoch] for curve in curves]
    return values


def _mean(searched: SearchedTrial, sign: float, error_score: float) -> float:
    value = searched.score.value if searched.score else math.nan
    return sign * value if np.isfinite(value) else error_score


def _ranks(values: Any) -> Any:
    """Ranks from 1, the highest value first.

    >>> _ranks(np.array([0.5, float("nan"), 0.9, 0.9]))
    array([3, 4, 1, 1], dtype=int32)
    """
    comparable = np.where(np.isnan(values), -np.inf, values)
    return np.array([1 + np.sum(comparable > value) for value in comparable], dtype=np.int32)


def _column(found: Sequence[SearchedTrial], name: str) -> Any:
    """A parameter's values, masked where a trial lacks it."""
    column: Any = np.ma.array(np.empty(len(found), dtype=object), mask=True)
    for trial, searched in enumerate(found):
        if name in searched.params:
            column[trial] = searched.params[name]
    return column
