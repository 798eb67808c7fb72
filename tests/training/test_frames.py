"""Frames train as the arrays of numbers that stand for the same rows, whoever reads them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch import Data, Float, KerasSearchCV, KFold, NestedKFold, Random, Space, Study, Task
from hpsearch.core.frames.rows import decode_inputs
from hpsearch.core.seeds import derive_seed
from hpsearch.training import sharing
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows
from tests.core.test_frames import Spy
from tests.sklearn_api.builds import build

ROWS = 90
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "age": np.arange(ROWS),
        "wood": RNG.choice(["oak", "elm"], ROWS),
        "size": pd.Categorical(RNG.choice(["M", "S"], ROWS), ["S", "M"]),
        "wet": RNG.random(ROWS) > 0.5,
        "height": RNG.normal(size=ROWS).astype(np.float32),
    }
)
# What the encoder learns of texts is their order alone.
NUMBERS = np.column_stack(
    [
        TABLE["age"],
        TABLE["wood"] == "oak",
        TABLE["size"] == "S",
        TABLE["wet"],
        TABLE["height"],
    ]
).astype(np.float64)
LABELS = np.where(TABLE["height"] + TABLE["wet"] > 0.4, "tall", "short")
Y = (LABELS == "tall").astype(int)
GROUPS = np.arange(ROWS) // 3
WEIGHTS = RNG.uniform(0.5, 2.0, ROWS)


def encode(*columns):
    wood, size, age, height, wet = columns
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), [wood, size]),
        (StandardScaler(), [age, height]),
        ("passthrough", [wet]),
    )


BY_NAME = encode("wood", "size", "age", "height", "wet")
BY_PLACE = encode(1, 2, 0, 4, 3)


def study(x, y, preprocess, searcher=None, evaluator=None):
    data = Data(x, y, groups=GROUPS, sample_weight=WEIGHTS)
    task = Task("trees", data, "binary_crossentropy", "accuracy", preprocess=preprocess)
    return Study(
        name="trees",
        task=task,
        space=Space(rate=Float(0.01, 0.1, log=True)),
        build=build,
        searcher=searcher or Random(trials=2, epochs=2),
        evaluator=evaluator or KFold(3, groups=True),
    )


def test_folds_are_encoded_as_by_hand():
    given = study(TABLE, LABELS, BY_NAME).task
    data = given.load()
    for split in KFold(3, groups=True).splits(given, data, seed=1):
        rows = prepare_rows(given, data, split)
        by_hand = encode("wood", "size", "age", "height", "wet").fit(TABLE.iloc[split.train])
        for part, found in ((split.train, rows.x), (split.validation, rows.x_validation)):
            wanted = by_hand.transform(TABLE.iloc[part])
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)


def test_workers_share_frames_without_pickle(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "LARGE", 0)
    task = study(TABLE, LABELS, BY_NAME).task
    data = task.load()
    for _ in range(2):  # the one who writes it, and one who finds it
        shared = sharing.load(task, tmp_path)
        assert shared.fingerprint == data.fingerprint
        assert shared.classes == ("short", "tall")
        pd.testing.assert_frame_equal(decode_inputs(shared.x, shared.frames), TABLE)
    split = Split(np.arange(60), np.arange(60, 90))
    assert np.array_equal(prepare_rows(task, shared, split).x, prepare_rows(task, data, split).x)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fit", "auto"])
def test_k_fold_over_groups_and_weights_scores_frames_as_their_numbers(engine):
    found = [
        KFold(3, groups=True).evaluate(build, {"rate": 0.05}, each.task, epochs=3, engine=engine)
        for each in (study(TABLE, LABELS, BY_NAME), study(NUMBERS, Y, BY_PLACE))
    ]
    assert found[0].curves.equals(found[1].curves)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fit", "auto"])
def test_no_engine_shows_validation_rows_to_a_transformer(engine):
    data = Data(TABLE, Y)
    task = Task("trees", data, "binary_crossentropy", preprocess=Spy())
    Spy.seen.clear()
    KFold(3).evaluate(build, {"rate": 0.05}, task, epochs=1, engine=engine)
    seed = derive_seed(0, "splits")
    wanted = {frozenset(split.train.tolist()) for split in KFold(3).splits(task, data, seed=seed)}
    assert {*Spy.seen} == wanted


@pytest.mark.thorough
@pytest.mark.slow
def test_nested_k_fold_scores_frames_as_their_numbers():
    found = [
        NestedKFold(2, inner=KFold(2)).estimate(each, engine="fit")
        for each in (study(TABLE, LABELS, BY_NAME), study(NUMBERS, Y, BY_PLACE))
    ]
    assert found[0] == found[1]


@pytest.mark.slow
def test_scikit_learns_way_scores_frames_as_their_numbers():
    cv = list(GroupKFold(3).split(NUMBERS, Y, GROUPS))
    searches = [
        KerasSearchCV(
            build, {"rate": [0.05]}, Random(trials=1, epochs=2), cv=cv, preprocess=preprocess,
            engine="fit",
        ).fit(x, LABELS, sample_weight=WEIGHTS)
        for x, preprocess in ((TABLE, BY_NAME), (NUMBERS, BY_PLACE))
    ]  # fmt: skip
    assert searches[0].best_score_ == searches[1].best_score_
    shuffled = TABLE.iloc[::-1]
    assert np.array_equal(
        searches[0].predict_proba(shuffled), searches[1].predict_proba(NUMBERS[::-1])
    )
