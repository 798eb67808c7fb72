"""Nested folds of targets that are learned in another unit: values are in the targets' own."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from hpsearch import Choice, Data, Difference, Float, KFold, NestedKFold, Random, Space, Study, Task
from spaces import mlp

pytestmark = pytest.mark.slow

SERIES = 512 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.05, size=96)))
X = np.lib.stride_tricks.sliding_window_view(SERIES[:-1], 6).copy()
Y = SERIES[6:]


def change(unit):
    log = FunctionTransformer(np.log, np.exp)
    return {"own": None, "return": [log, Difference(-1), StandardScaler()]}[unit]


def study_of(y, preprocess_y, **space):
    task = Task(
        "prices",
        Data(X, y),
        loss="mse",
        metric="rmse",
        preprocess=StandardScaler(),
        preprocess_y=preprocess_y,
    )
    space = Space(learning_rate=Float(1e-3, 1e-1, log=True), **space)
    return Study(task=task, space=space, build=mlp.model((4,)), searcher=Random(3, 3))


def test_targets_of_another_unit_have_values_in_that_unit():
    """Scaled rows train alike: only what is reported differs, by the factor."""
    nested = NestedKFold(2, KFold(2))
    small, large = (nested.estimate(study_of(f * Y, StandardScaler())) for f in (1, 64))
    assert [fold.params for fold in small.folds] == [fold.params for fold in large.folds]
    for one, other in zip(small.folds, large.folds, strict=True):
        assert other.outer == pytest.approx(64 * one.outer, rel=1e-4)
        assert other.inner == pytest.approx(64 * one.inner, rel=1e-4)
    assert 0.1 * Y.std() < small.value < 3 * Y.std()


@pytest.mark.thorough
def test_a_unit_that_is_searched_is_chosen_in_each_outer_fold():
    study = study_of(Y, change, unit=Choice("own", "return"))
    study = replace(study, start=[{"learning_rate": 0.02, "unit": u} for u in ("own", "return")])
    score = NestedKFold(2, KFold(2)).estimate(study)
    assert [fold.params["unit"] for fold in score.folds] == ["return", "return"]
    assert score.value < 0.2 * Y.mean()  # by prices as they are, three epochs do not come near
