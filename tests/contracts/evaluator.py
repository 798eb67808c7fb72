"""What every evaluator must keep to, whatever its splits."""

import numpy as np

from hpsearch import Data, Task
from hpsearch.core.trial import Curve
from hpsearch.evaluators import Evaluator, Forward, Given
from hpsearch.training.base import Split

RNG = np.random.default_rng(0)
DATA = Data(
    x=RNG.random((90, 3)),
    y=np.repeat(np.arange(3), 30),
    groups=np.repeat(np.arange(18), 5),
)
TASK = Task("three", DATA, loss="sparse_categorical_crossentropy", metric="accuracy")
WITH_PART = Data(DATA.x[:70], DATA.y[:70], x_val=DATA.x[70:], y_val=DATA.y[70:])


def splits_of(evaluator: Evaluator, seed: int) -> list[Split]:
    is_given = isinstance(evaluator, Given) and evaluator.parts is None
    return evaluator.splits(TASK, WITH_PART if is_given else DATA, seed=seed)


def as_lists(evaluator: Evaluator, seed: int) -> list[tuple[list[int], list[int]]]:
    return [(s.train.tolist(), s.validation.tolist()) for s in splits_of(evaluator, seed)]


class EvaluatorContract:
    """Subclasses give a fixture `evaluator`."""

    def test_every_row_is_on_one_side_of_each_split(self, evaluator: Evaluator) -> None:
        for train, validation in as_lists(evaluator, 0):
            if isinstance(evaluator, Forward):  # what comes later is left out
                assert max(train) < min(validation)
            else:
                assert sorted(train + validation) == list(range(90))

    def test_splits_depend_on_the_seed_alone(self, evaluator: Evaluator) -> None:
        np.random.seed(1)
        first = as_lists(evaluator, 3)
        np.random.seed(2)
        assert as_lists(evaluator, 3) == first

    def test_trains_as_many_models_as_it_says(self, evaluator: Evaluator) -> None:
        assert len(as_lists(evaluator, 0)) == evaluator.fits

    def test_folds_of_a_trial_have_seeds_of_their_own(self, evaluator: Evaluator) -> None:
        splits = splits_of(evaluator, 0)
        fits = evaluator.plan_fits(splits, lambda spec: None, {"a": 1}, epochs=2, seed=0)
        assert len({fit.seed for fit in fits}) == evaluator.fits

    def test_scores_the_best_epoch_of_the_mean_curve(self, evaluator: Evaluator) -> None:
        rng = np.random.default_rng(0)
        curves = [
            Curve(validation=tuple(rng.random(6).tolist()), rows=9) for _ in range(evaluator.fits)
        ]
        mean = np.mean([curve.validation for curve in curves], axis=0)
        for metric, pick in ((TASK.objective, np.argmax), (_LOSS, np.argmin)):
            score = evaluator.score(curves, metric)
            assert score.best_epoch == int(pick(mean)) + 1
            assert np.isclose(score.value, mean[pick(mean)])
            assert score.folds == tuple(curves)

    def test_its_label_makes_it_again(self, evaluator: Evaluator) -> None:
        from hpsearch.evaluators import Holdout, KFold

        if isinstance(evaluator, Given) and evaluator.parts is not None:
            return  # rows have no short text: see test_given.py
        names = {"Forward": Forward, "Given": Given, "Holdout": Holdout, "KFold": KFold}
        assert eval(evaluator.label, names) == evaluator


_LOSS = Task("loss", DATA, loss="mse").objective
