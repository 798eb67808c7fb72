import math

import numpy as np
import pytest
from sklearn import model_selection

from hpsearch import Data, Forward, Given, Holdout, KFold, Task, evaluators
from hpsearch.core.errors import DataError
from hpsearch.core.trial import Curve
from hpsearch.evaluators.splits import kfold
from tests.contracts.evaluator import DATA, TASK, EvaluatorContract

EVALUATORS = [
    Holdout(),
    Holdout(fraction=0.3, stratify=False),
    Holdout(rows=10, shuffle=False),
    KFold(3),
    KFold(4, stratify=False, repeats=2),
    KFold(3, groups=True),
    KFold(3, groups=True, stratify=False),
    KFold(4, shuffle=False),
    Forward(3),
    Forward(4, horizon=5, gap=2, window=30),
    Given(),
    Given(np.arange(60), np.arange(60, 90)),
    Given([(np.arange(45), np.arange(45, 90)), (np.arange(45, 90), np.arange(45))]),
    Given(model_selection.GroupKFold(4)),
    Given(model_selection.RepeatedStratifiedKFold(n_splits=3, n_repeats=2)),
    Given(model_selection.StratifiedShuffleSplit(3, test_size=0.2)),
]


class TestEvaluators(EvaluatorContract):
    @pytest.fixture(params=EVALUATORS, ids=lambda e: e.label)
    def evaluator(self, request):
        return request.param


def test_no_evaluator_escapes_the_contract():
    apart = {"Evaluator", "TrainingFailed"}
    assert {type(e).__name__ for e in EVALUATORS} == set(evaluators.__all__) - apart


def test_holdout_without_shuffling_takes_the_last_rows():
    (split,) = Holdout(rows=10, shuffle=False).splits(TASK, DATA, seed=0)
    assert split.validation.tolist() == list(range(80, 90))


def test_classifications_are_stratified_unless_told_otherwise():
    for evaluator in (Holdout(rows=30), KFold(3)):
        for split in evaluator.splits(TASK, DATA, seed=0):
            assert np.bincount(DATA.y[split.validation]).tolist() == [10, 10, 10]
    skewed = KFold(3, stratify=False).splits(TASK, DATA, seed=0)
    assert any(np.bincount(DATA.y[s.validation]).tolist() != [10] * 3 for s in skewed)


@pytest.mark.parametrize("classes", [None, [3.0, -1.0, 3.0, 7.0], list("baac")])
@pytest.mark.parametrize(("rows", "folds"), [(41, 2), (60, 3), (97, 7)])
def test_folds_are_those_of_scikit_learn(classes, rows, folds):
    drawn = classes and np.random.default_rng(rows).choice(np.array(classes), rows)
    kind = model_selection.KFold if classes is None else model_selection.StratifiedKFold
    for seed in range(5):
        splits = kfold(rows, folds, classes=drawn, groups=None, seed=seed)
        theirs = kind(folds, shuffle=True, random_state=seed).split(np.zeros(rows), drawn)
        for split, (train, validation) in zip(splits, theirs, strict=True):
            assert split.train.tolist() == train.tolist()
            assert split.validation.tolist() == validation.tolist()


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({}, model_selection.KFold(4)),
        ({"stratify": False}, model_selection.KFold(4)),
        ({"stratify": True}, model_selection.StratifiedKFold(4)),
        ({"groups": True}, model_selection.GroupKFold(4)),
        ({"groups": True, "stratify": True}, model_selection.StratifiedGroupKFold(4)),
    ],
)
def test_folds_without_shuffling_are_those_of_scikit_learn(options, reference):
    splits = KFold(4, shuffle=False, **options).splits(TASK, DATA, seed=5)
    theirs = reference.split(DATA.x, DATA.y, DATA.groups if "groups" in options else None)
    for split, (train, validation) in zip(splits, theirs, strict=True):
        assert split.train.tolist() == train.tolist()
        assert split.validation.tolist() == validation.tolist()


def test_labels_of_shuffled_folds_are_those_of_older_stores():
    older = "KFold(folds=4, groups=False, repeats=1)"
    assert KFold(4).label == older
    assert KFold(4, shuffle=False).label == older.replace(")", ", shuffle=False)")
    assert Holdout(0.5).label == "Holdout(fraction=0.5, shuffle=True)"


def test_one_hot_classes_are_stratified_too():
    data = Data(DATA.x, np.eye(3)[DATA.y])
    task = Task("hot", data, loss="categorical_crossentropy", metric="accuracy")
    for split in KFold(3).splits(task, data, seed=0):
        assert data.y[split.validation].sum(axis=0).tolist() == [10, 10, 10]


def test_groups_are_never_parted():
    for split in KFold(3, groups=True).splits(TASK, DATA, seed=0):
        assert not set(DATA.groups[split.train]) & set(DATA.groups[split.validation])


def test_folds_cover_every_row_once_and_repeats_differ():
    splits = KFold(3, repeats=2).splits(TASK, DATA, seed=0)
    first, second = splits[:3], splits[3:]
    for repeat in (first, second):
        assert sorted(np.concatenate([s.validation for s in repeat])) == list(range(90))
    assert first[0].validation.tolist() != second[0].validation.tolist()


def test_value_is_not_the_mean_of_each_folds_best():
    curves = [Curve(validation=(0.9, 0.5)), Curve(validation=(0.5, 0.8))]
    score = KFold(2).score(curves, TASK.objective)
    assert score.value == pytest.approx(0.7)
    assert score.best_epoch == 1
    assert score.std == pytest.approx(np.std([0.9, 0.5], ddof=1))
    assert score.se == pytest.approx(score.std / math.sqrt(2))


def test_the_mean_goes_as_far_as_the_shortest_fold():
    curves = [Curve(validation=(0.1, 0.2, 0.9)), Curve(validation=(0.1, 0.2))]
    assert KFold(2).score(curves, TASK.objective).best_epoch == 2


def test_a_holdout_accuracy_has_a_binomial_error():
    score = Holdout().score([Curve(validation=(0.9,), rows=100)], TASK.objective)
    assert score.se == pytest.approx(0.03)
    assert math.isnan(score.std)


def test_a_holdout_loss_has_none():
    task = Task("loss", DATA, loss="mse")
    assert Holdout().score([Curve(validation=(0.9,), rows=100)], task.objective).se is None


def test_repeats_do_not_count_as_more_folds():
    once = [Curve(validation=(v,)) for v in (0.1, 0.2)]
    one, three = (KFold(2, repeats=n).score(once * n, TASK.objective) for n in (1, 3))
    assert three.se == pytest.approx(one.se, rel=0.3)


def test_curves_are_a_frame_of_folds_and_epochs():
    frame = KFold(2).score([Curve(validation=(1.0, 2.0)), Curve(validation=(3.0, 4.0))],
                           TASK.objective).curves  # fmt: skip
    assert frame.shape == (2, 2)
    assert frame.loc[1, 2] == 4.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Holdout(fraction=1.5), r"0 < fraction < 1, got fraction=1\.5"),
        (lambda: Holdout(fraction=0.1, rows=3), r"fraction or rows, not both"),
        (lambda: Holdout(rows=0), r"rows >= 1, got rows=0"),
        (lambda: Holdout(stratify=True, shuffle=False), r"has no effect with shuffle=False"),
        (lambda: KFold(1), r"folds >= 2, got folds=1"),
        (lambda: KFold(3, repeats=0), r"repeats >= 1"),
        (lambda: KFold(3, repeats=2, shuffle=False), r"same folds again with shuffle=False"),
        (lambda: KFold(3, shuffle=None), r"shuffle=True or False, got None"),
    ],
)
def test_refuses_options_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


REGRESSION = Task("r", Data(np.zeros((5, 1)), np.zeros(5)), loss="mse")


@pytest.mark.parametrize(
    ("evaluator", "task", "message"),
    [
        (KFold(31), TASK, r"31 rows of each class, but class 0 has 30; use at most 30 folds"),
        (KFold(6), REGRESSION, r"6 folds need at least 6 rows, got 5"),
        (KFold(2, groups=True), REGRESSION, r"groups=True needs Data\(groups"),
        (KFold(19, groups=True, stratify=False), TASK, r"at least 19 groups, got 18"),
        (KFold(2, stratify=True), REGRESSION, r"needs a classification"),
        (Holdout(rows=5), REGRESSION, r"leaves 0 of 5 rows to train on"),
        (Holdout(rows=2), TASK, r"cannot be stratified"),
    ],
)
def test_refuses_what_the_data_does_not_allow(evaluator, task, message):
    with pytest.raises(DataError, match=message):
        evaluator.splits(task, task.load(), seed=0)
