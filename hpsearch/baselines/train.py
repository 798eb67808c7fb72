"""The training function of a study's baselines: a point names one of them."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hpsearch.baselines.names import Baseline
from hpsearch.baselines.seasons import find_earlier_rows
from hpsearch.core.data import Data
from hpsearch.training.base import TrainFunction
from hpsearch.training.own import TrainingRun
from hpsearch.training.sklearn_models import train_estimator

PARAMETER = "baseline"
"""The parameter of the space by which a point names its baseline."""


def make_train_function(baselines: Mapping[str, Baseline], data: Data) -> TrainFunction:
    """`train(run, baseline)`, which trains the baseline of this name.

    Args:
        data: the study's, for the previous values.
    """

    def train(run: TrainingRun, baseline: str) -> Callable[[Any], Any] | None:
        chosen = baselines[baseline]
        if chosen.make is None:
            assert chosen.steps is not None
            _repeat_earlier_targets(run, data, chosen.steps)
            return None
        with warnings.catch_warnings():
            # A baseline has scikit-learn's own settings, whether its iterations suffice or not.
            from sklearn.exceptions import ConvergenceWarning

            warnings.simplefilter("ignore", ConvergenceWarning)
            return train_estimator(run, chosen.make, weighs=chosen.weighs)  # type: ignore[no-any-return]

    return train


def _repeat_earlier_targets(run: TrainingRun, data: Data, steps: int) -> None:
    """Predict each validation row by a target of the past. It learns nothing, and keeps nothing."""
    y = np.asarray(data.y)
    for _ in run.epochs():
        predicted = y[find_earlier_rows(data, steps, run.validation_rows)]
        run.report(**run.measure_own_unit(predicted.reshape(len(predicted), -1)))
        run.end()
