"""Splits that the user gives: pairs of rows, and splitters."""

import numpy as np
import pytest
from sklearn import model_selection

from hpsearch import Data, Given, Holdout, KFold, NestedKFold, Space, Study, Task
from hpsearch.core.errors import DataError, StudyError
from hpsearch.evaluators.given import as_evaluator
from hpsearch.evaluators.given_pairs import describe_rows_left_out
from tests.contracts.evaluator import DATA, TASK, WITH_PART

LOSS = Task("loss", DATA, loss="mse").objective
HALF = np.arange(90) < 45


def as_pairs(splits):
    return [(split.train.tolist(), split.validation.tolist()) for split in splits]


def test_the_datas_own_part_validates():
    (split,) = Given().splits(TASK, WITH_PART, seed=0)
    assert split.train.tolist() == list(range(70))
    assert split.validation.tolist() == list(range(70, 90))


@pytest.mark.parametrize(
    "given",
    [
        Given(np.flatnonzero(HALF), np.flatnonzero(~HALF)),
        Given(HALF, ~HALF),
        Given(list(HALF), list(~HALF)),
        Given([(range(45), range(45, 90))]),
        Given(iter([(np.arange(45, dtype=np.uint8), np.arange(45, 90))])),
        as_evaluator([(HALF, ~HALF)]),
    ],
)
def test_rows_are_given_by_number_or_by_mask(given):
    assert as_pairs(given.splits(TASK, DATA, seed=0)) == [(list(range(45)), list(range(45, 90)))]
    assert given == Given(range(45), range(45, 90)) or given.parts.mask_rows == 90
    assert given.label == Given(range(45), range(45, 90)).label


SPLITTERS = [
    model_selection.TimeSeriesSplit(4),
    model_selection.GroupShuffleSplit(3, random_state=1),
    model_selection.PredefinedSplit(np.arange(90) % 3 - 1),
    model_selection.StratifiedKFold(3),
    model_selection.RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    model_selection.LeaveOneGroupOut(),
]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_splits_are_the_splitters_own(splitter):
    given = Given(splitter)
    by_group = "Group" in type(splitter).__name__
    theirs = splitter.split(DATA.x, DATA.y, DATA.groups if by_group else None)
    ours = given.splits(TASK, DATA, seed=7)
    assert as_pairs(ours) == [(t.tolist(), v.tolist()) for t, v in theirs]
    assert given.fits in (len(ours), None)


def test_a_random_splitter_gets_the_seed_where_it_has_none():
    unseeded, seeded = (
        Given(model_selection.RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=state))
        for state in (None, 4)
    )
    at_0, again, at_1 = (as_pairs(unseeded.splits(TASK, DATA, seed=seed)) for seed in (0, 0, 1))
    assert at_0 == again != at_1
    assert as_pairs(seeded.splits(TASK, DATA, seed=0)) == as_pairs(
        seeded.splits(TASK, DATA, seed=1)
    )
    assert unseeded.parts.splitter.random_state is None  # the user's own is left alone


def test_labels_tell_rows_and_settings_apart():
    labels = {
        Given().label,
        Given(HALF, ~HALF).label,
        Given(~HALF, HALF).label,
        Given(model_selection.TimeSeriesSplit(4)).label,
        Given(model_selection.TimeSeriesSplit(4, gap=1)).label,
        Given(model_selection.PredefinedSplit(np.arange(5000) % 3)).label,
        Given(model_selection.PredefinedSplit((np.arange(5000) + 1) % 3)).label,
        Given(model_selection.KFold(3), shared_batches=True).label,
        Given(model_selection.KFold(3)).label,
    }
    assert len(labels) == 9
    assert "Given(parts=TimeSeriesSplit(gap=0, n_splits=4, shuffle=False))" in labels
    repeated = Given(model_selection.RepeatedKFold(n_splits=3, n_repeats=2)).label
    assert repeated == "Given(parts=RepeatedKFold(cvargs={'n_splits': 3}, n_repeats=2))"


def test_rows_validated_again_do_not_count_as_more():
    values = [0.1, 0.2, 0.4]
    thirds = [(np.flatnonzero(np.arange(90) % 3 != k), np.flatnonzero(np.arange(90) % 3 == k))
              for k in range(3)]  # fmt: skip
    folds = KFold(3).standard_error(values, LOSS, 30)
    assert Given(thirds).standard_error(values, LOSS, 30) == pytest.approx(folds)
    twice = KFold(3, repeats=2).standard_error(values * 2, LOSS, 30)
    repeated = model_selection.RepeatedKFold(n_splits=3, n_repeats=2)
    for given in (Given(thirds * 2), Given(repeated)):
        assert given.standard_error(values * 2, LOSS, 30) == pytest.approx(twice)
    in_time = Given(model_selection.TimeSeriesSplit(3))
    assert in_time.standard_error(values, LOSS, 20) == pytest.approx(folds)
    at_random = model_selection.ShuffleSplit(3, test_size=0.5, random_state=0)
    for given in (Given(at_random), Given(list(at_random.split(DATA.x)))):
        assert given.standard_error(values, LOSS, 9) is None


def test_one_given_split_has_the_error_of_a_holdout():
    for metric in (LOSS, TASK.objective):
        expected = Holdout().standard_error([0.9], metric, 30)
        for given in (Given(), Given(HALF, ~HALF)):
            assert given.standard_error([0.9], metric, 30) == expected


class OwnSplitter:
    def __init__(self, **settings):
        vars(self).update(settings)

    def split(self, X, y=None, groups=None):
        order = np.random.permutation(len(X))
        yield order[:60], order[60:]


class SlottedSplitter:
    __slots__ = ("gap",)

    def split(self, X, y=None, groups=None):
        yield np.arange(60), np.arange(60, 90)


def test_what_an_own_splitter_keeps_to_itself_is_a_setting_of_it():
    assert Given(OwnSplitter(_gap=1)).label == Given(OwnSplitter(_gap=1)).label
    assert Given(OwnSplitter(_gap=1)).label != Given(OwnSplitter(_gap=2)).label


class ShortSplitter(OwnSplitter):
    def get_n_splits(self):
        return 3

    def split(self, X, y=None, groups=None):
        yield np.arange(60), np.arange(60, 90)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Given([]), "no split is given at all"),
        (lambda: Given(7), "give a list of pairs"),
        (lambda: Given("kfold"), "give a list of pairs|each side is"),
        (lambda: Given(range(5)), "give a list of pairs"),
        (lambda: Given([[0, 1], [2, 3]]), r"each side is a list of row numbers.*Given\(train, val"),
        (lambda: Given([0.5, 1.5], [2.0]), "each side is a list of row numbers"),
        (lambda: Given([[0], [1, 2]], [3]), "each side is a list of row numbers"),
        (lambda: Given([0, 1], []), "has 2 rows to train on and 0 to validate on"),
        (lambda: Given(np.zeros(3, bool), np.ones(3, bool)), "has 0 rows to train on and 3"),
        (lambda: Given([0, -1], [2]), "fold 0 trains on row -1; rows count from 0"),
        (lambda: Given([0, 1, 1], [2]), "trains on row 1 more than once.*sample_weight"),
        (lambda: Given([0, 1], [2, 2]), "validates on row 2 more than once"),
        (lambda: Given([0, 1, 2], [3, 2, 1]), "trains on row 1 and validates on it too, and so on 1"),
        (lambda: Given([(HALF, ~HALF), (range(9), [9])]), "a mask of 90 rows, numbers"),
        (lambda: Given([(HALF, ~HALF), (HALF[1:], ~HALF[1:])]), "mask of 89 rows, a mask of 90"),
        (lambda: Given(validation=[1]), "needs the rows to train on too"),
        (lambda: Given(parts=3), "makes parts itself"),
        (lambda: Given(shared_batches=2), "shared_batches=True or False"),
        (
            lambda: Given(model_selection.ShuffleSplit(random_state=np.random.RandomState(0))),
            "whole number.*continuing must find the same folds",
        ),
        (lambda: Given(OwnSplitter(place=object())), r"Given\(list\(splitter\.split"),
        (lambda: Given(SlottedSplitter()), "SlottedSplitter does not say its settings; give its pairs"),
    ],
)  # fmt: skip
def test_wrong_rows_are_refused_where_they_are_given(make, message):
    with pytest.raises(ValueError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


NO_GROUPS = Data(DATA.x, DATA.y)


@pytest.mark.parametrize(
    ("evaluator", "data", "message"),
    [
        (Given(), DATA, r"needs Data\(x_val=, y_val=\), and task three has none"),
        (Given([0], [90]), DATA, "names row 90, and the data has 90 rows: 0 to 89"),
        (Given([True, False], [False, True]), DATA, "masks of 2 rows, and the data has 90"),
        (Given(HALF, ~HALF), WITH_PART, r"use evaluator=Given\(\)"),
        (Given(model_selection.KFold(3)), WITH_PART, r"use evaluator=Given\(\)"),
        (KFold(3), WITH_PART, r"use evaluator=Given\(\), or put all rows into x and y"),
        (Holdout(), WITH_PART, r"use evaluator=Given\(\)"),
        (Given(model_selection.LeaveOneGroupOut()), NO_GROUPS, r"needs Data\(groups=...\)"),
        (Given(model_selection.StratifiedKFold(40)), DATA, "cannot split the rows of task three"),
        (Given(OwnSplitter()), DATA, "gives other folds each time, and continuing must find"),
        (Given(ShortSplitter()), DATA, "says that it gives 3 folds, and gives 1"),
        (Given(model_selection.PredefinedSplit(np.arange(120) % 3)), DATA, "names row 119"),
    ],
)  # fmt: skip
def test_refuses_what_the_data_does_not_allow(evaluator, data, message):
    with pytest.raises(DataError, match=message) as refused:
        evaluator.splits(TASK, data, seed=0)
    assert "\n" not in str(refused.value)


def test_rows_left_out_are_told():
    def told(evaluator):
        return describe_rows_left_out("it", evaluator.splits(TASK, DATA, seed=0), DATA.rows)

    assert told(KFold(3)) == told(Holdout()) == ""
    assert (
        told(Given(model_selection.TimeSeriesSplit(4)))
        == "it: of 90 rows, 18 are in no validation part"
    )
    assert told(Given(range(40), range(50, 90))) == "it: of 90 rows, 10 are not used at all"
    assert told(Given(range(50), range(50, 90))) == ""


SPACE = Space({})


def test_a_study_takes_pairs_and_splitters():
    def study(evaluator):
        return Study(task=TASK, space=SPACE, build=len, evaluator=evaluator, name="s")

    assert study([(HALF, ~HALF)]).evaluator == Given(HALF, ~HALF)
    splitter = model_selection.TimeSeriesSplit(3)
    assert study(splitter).evaluator == Given(splitter)
    assert "TimeSeriesSplit" in repr(study(splitter))
    for wrong in (5, "kfold:5", None, KFold):
        with pytest.raises(StudyError, match="needs evaluator= a Evaluator"):
            study(wrong)
    with pytest.raises(DataError, match="trains on row 1 and validates on it too"):
        study([([0, 1], [1])])


def test_nested_searches_refuse_rows_of_the_whole():
    study = Study(task=TASK, space=SPACE, build=len, name="s")
    for inner in (Given(HALF, ~HALF), [(HALF, ~HALF)], Given()):
        with pytest.raises(StudyError, match="names rows of the whole; give inner="):
            NestedKFold(3, inner=inner).estimate(study)
    with pytest.raises(ValueError, match="inner= an evaluator, got 3"):
        NestedKFold(3, inner=3)


def test_masks_and_lists_are_options_of_python_only():
    from hpsearch import evaluators
    from hpsearch.core.errors import HpsearchError
    from hpsearch.core.option_text import option_classes, parse_options
    from hpsearch.report.reproduction import command_option

    known = option_classes(evaluators)
    assert parse_options("given", "evaluator", known) == Given()
    assert parse_options("kfold:5,shuffle=false", "evaluator", known) == KFold(5, shuffle=False)
    own = Given(HALF, ~HALF)
    assert parse_options("given:shared_batches=true", "evaluator", known, own).parts == own.parts
    assert command_option(own.label) is None
    assert command_option(Given(model_selection.KFold(3)).label) is None
    with pytest.raises(HpsearchError, match="makes parts itself"):
        parse_options("given:parts=5", "evaluator", known)
