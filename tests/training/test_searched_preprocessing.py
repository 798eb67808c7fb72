"""Preprocessing that a point chooses: fitted once for each fold, the same by every trainer."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from hpsearch import Data, KFold, Task
from hpsearch.core.errors import BuildError, DataError
from hpsearch.core.searched_preprocessing import PreprocessingFailed
from hpsearch.training import backend
from hpsearch.training.base import Fit, Split
from hpsearch.training.fold_preprocessing import choose_split
from hpsearch.training.prepared_cache import PreparedCache, PreparedSplit
from hpsearch.training.preprocessing import name_failing_transformer
from hpsearch.training.rows import prepare_rows
from spaces import mlp
from tests.rounding import loss_difference, rounding_bound

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, size=(90, 6)).astype("float32")
DATA = Data(X, (X[:, 0] > 3).astype(int))
FITTED: list[int] = []  # rows, at each fit of a CountedScaler


class CountedScaler(StandardScaler):
    def fit(self, X, y=None):
        FITTED.append(len(X))
        return super().fit(X, y)


def prepare(scaler="standard", components=4):
    scale = CountedScaler() if scaler == "standard" else MinMaxScaler()
    return make_pipeline(scale, PCA(components, random_state=0))


TASK = Task("signs", DATA, "binary_crossentropy", "accuracy", preprocess=prepare)
FOLDS = KFold(3).splits(TASK, DATA, seed=0)
POINTS = [
    {"scaler": scaler, "components": components, "learning_rate": 0.01 * number}
    for number, (scaler, components) in enumerate(
        [("standard", 3), ("minmax", 3), ("standard", 5), ("standard", 3)], 1
    )
]


def plan(points=POINTS, epochs=3, **options):
    return [
        Fit(mlp.model((5,)), point, split, 10 * number + fold, epochs, fold=fold, **options)
        for number, point in enumerate(points)
        for fold, split in enumerate(FOLDS)
    ]


def test_equal_parameters_share_a_split_and_absent_ones_are_left_to_the_default():
    one = choose_split(TASK, FOLDS[0], POINTS[0])
    assert one is choose_split(TASK, FOLDS[0], POINTS[3])
    assert one is choose_split(TASK, one, POINTS[0])
    assert one is not choose_split(TASK, FOLDS[0], POINTS[1])
    assert one is not choose_split(TASK, FOLDS[1], POINTS[0])
    assert choose_split(TASK, FOLDS[0], {"learning_rate": 1}) is FOLDS[0]
    assert prepare_rows(TASK, DATA, FOLDS[0]).x.shape == (60, 4)
    assert prepare_rows(TASK, DATA, one).x.shape == (60, 3)


def test_rows_are_those_of_the_transformer_fitted_on_the_training_rows_alone():
    split = choose_split(TASK, FOLDS[1], POINTS[2])
    by_hand = prepare("standard", 5).fit(X[split.train])
    for _ in range(2):  # prepared, and kept
        rows = prepare_rows(TASK, DATA, split)
        np.testing.assert_array_equal(rows.x, by_hand.transform(X[split.train]))
        np.testing.assert_array_equal(rows.x_validation, by_hand.transform(X[split.validation]))


def test_a_cache_drops_rows_first_and_forgets_what_is_gone():
    cache, data = PreparedCache(most_bytes=1000), Data(X, DATA.y)
    splits = [Split(np.arange(3), np.arange(1)) for _ in range(3)]
    for number, split in enumerate(splits):
        rows = np.zeros(60), np.zeros(1)  # 488 bytes
        cache.keep(prepare, data, split, PreparedSplit(number, *rows))
    kept = [cache.find(prepare, data, split) for split in splits]
    assert [each.fitted for each in kept] == [0, 1, 2]
    assert [each.x is None for each in kept] == [True, False, False]
    assert cache.find(StandardScaler(), data, splits[2]) is None
    assert cache.find(prepare, DATA, splits[2]) is None
    del data
    assert len(list(cache._entries())) == 0


def test_sparse_rows_are_kept_sparse_and_trained_on_dense():
    from sklearn.preprocessing import OneHotEncoder

    data = Data(np.arange(90)[:, None] % 5, DATA.y)
    task = Task("t", data, "mse", preprocess=lambda rare: OneHotEncoder(min_frequency=rare))
    split = choose_split(task, FOLDS[0], {"rare": 2})
    rows = [prepare_rows(task, data, split) for _ in range(2)]
    np.testing.assert_array_equal(rows[0].x, rows[1].x)
    assert rows[1].x.shape == (60, 5)
    assert isinstance(rows[1].x, np.ndarray)


@pytest.mark.parametrize(
    ("preprocess", "error", "says"),
    [
        (lambda n: None, PreprocessingFailed, r"must return a scikit-learn transformer.*None at n=3"),
        (lambda n: StandardScaler, PreprocessingFailed, r"StandardScaler.* at n=3; to leave rows"),
        (lambda n: 1 / (n - 3), PreprocessingFailed, r"preprocess fails at n=3: ZeroDivisionError"),
        (lambda n: PCA(n + 9), PreprocessingFailed, r"PCA\(n_components=12\) fails on the task's x"),
        (lambda n: {"a": PCA(n)}, DataError, r"preprocess is a dict where there are several inputs"),
        (lambda m: PCA(m), BuildError, r"needs the parameter 'm', which the point has not"),
    ],
)  # fmt: skip
def test_a_point_that_cannot_be_prepared_is_told_in_one_line(preprocess, error, says):
    task = Task("t", DATA, "mse", preprocess=preprocess)
    with pytest.raises(error, match=says) as raised:
        prepare_rows(task, DATA, choose_split(task, FOLDS[0], {"n": 3}))
    assert "\n" not in str(raised.value)


def test_text_that_the_transformer_of_a_point_leaves_is_refused_there():
    import pandas as pd

    frame = pd.DataFrame({"size": [1.0, 2.0] * 45, "colour": ["red", "blue"] * 45})
    data = Data({"a": frame, "b": X}, DATA.y)

    def preprocess(encodes):
        from sklearn.preprocessing import OneHotEncoder

        return {"a": OneHotEncoder()} if encodes else {"b": StandardScaler()}

    task = Task("t", data, "mse", preprocess=preprocess)
    assert task.load() is data
    split = choose_split(task, FOLDS[0], {"encodes": True})
    assert prepare_rows(task, data, split).x["a"].shape == (60, 4)
    with pytest.raises(DataError, match=r"x\['a'\] has the column 'colour'"):
        prepare_rows(task, data, choose_split(task, FOLDS[0], {"encodes": False}))


def trainer(engine, task=TASK):
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    if engine == "fit":
        return FitTrainer(task)
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(task, strict=True)


ENGINES = ["fit", *(["gang"] if backend.name() == "jax" else [])]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_each_fold_is_fitted_once_for_all_trials_of_equal_parameters(engine):
    task = Task("signs", Data(X, DATA.y), "binary_crossentropy", "accuracy", preprocess=prepare)
    points = [
        {"components": 3 + number % 3, "learning_rate": 0.01 * (1 + number)} for number in range(9)
    ]
    FITTED.clear()
    train = trainer(engine, task)
    train.probe(mlp.model((5,)), points[:3], FOLDS[0], task.data)
    assert len(list(train.train(plan(points, 1), task.data))) == 27
    list(train.train(plan(points[4:6], 2), task.data))
    assert FITTED == [60] * 9  # three parameters in three folds


@pytest.mark.slow
@pytest.mark.skipif("gang" not in ENGINES, reason="side by side is on JAX")
def test_side_by_side_trains_as_fit_and_equal_shapes_share_a_program():
    from hpsearch.training.batched.program import PROGRAMS

    fits = plan()
    expected = dict(trainer("fit").train(fits, DATA))
    bound = rounding_bound(trainer("fit"), fits[0], DATA, expected[0])
    gang = trainer("gang")
    before = len(PROGRAMS._compiled)
    found = dict(gang.train(fits, DATA))
    assert loss_difference(found, expected) < bound
    programs = [found[3 * number].program for number in range(4)]
    assert programs[0] == programs[1] == programs[3] != programs[2]
    assert len(PROGRAMS._compiled) == before + 2
    # Fewer trials go on by the rows, and the program, that are there.
    longer = plan(POINTS[1:2], 5)
    assert len(dict(gang.train(longer, DATA))) == 3
    assert len(gang._batches.tables._signatures) == 2


@pytest.mark.slow
@pytest.mark.skipif("gang" not in ENGINES, reason="side by side is on JAX")
def test_rows_of_unequal_length_are_groups_though_one_structure_takes_both():
    """A model of `Input((None,))` has the same weights for every length."""

    def cut(length):
        return FunctionTransformer(lambda rows: rows[:, :length])

    def build(spec, rate):
        import keras

        inputs = keras.Input((None,))
        x = keras.layers.Reshape((-1, 1))(inputs)
        x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(4, activation="tanh")(x))
        model = keras.Model(inputs, keras.layers.Dense(1, spec.activation)(x))
        model.compile(keras.optimizers.Adam(rate), spec.loss, metrics=spec.metrics)
        return model

    task = Task("signs", DATA, "binary_crossentropy", "accuracy", preprocess=cut)
    fits = [
        Fit(build, {"rate": 0.01, "length": length}, split, 7, 2)
        for length in (2, 5)
        for split in FOLDS
    ]
    expected = dict(trainer("fit", task).train(fits, DATA))
    bound = rounding_bound(trainer("fit", task), fits[0], DATA, expected[0])
    assert loss_difference(dict(trainer("gang", task).train(fits, DATA)), expected) < bound


@pytest.mark.slow
@pytest.mark.skipif("gang" not in ENGINES, reason="side by side is on JAX")
def test_features_of_a_frozen_part_are_of_the_rows_that_a_point_prepares():
    def build(spec, learning_rate):
        import keras

        inputs = keras.Input(spec.input_shape)
        x = keras.layers.Dense(7, activation="tanh", trainable=False)(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1, spec.activation)(x))
        model.compile(keras.optimizers.Adam(learning_rate), spec.loss, metrics=spec.metrics)
        return model

    fits = [replace(fit, build=build, seed=1) for fit in plan(POINTS[:2], 2)]
    expected = dict(trainer("fit").train(fits, DATA))
    bound = rounding_bound(trainer("fit"), fits[0], DATA, expected[0])
    gang = trainer("gang")
    assert loss_difference(dict(gang.train(fits, DATA)), expected) < bound
    assert len(gang._batches.tables._features) == 1  # of both points, whose frozen part is the same


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("engine", ENGINES)
def test_a_fit_that_continues_equals_one_that_never_stopped(engine, tmp_path):
    whole = dict(trainer(engine).train(plan(), DATA))
    outs = [{"checkpoint_out": tmp_path / f"{number}.npz"} for number in range(len(plan()))]
    half = [replace(fit, epochs=1, **out) for fit, out in zip(plan(), outs, strict=True)]
    list(trainer(engine).train(half, DATA))
    rest = [replace(fit, **out) for fit, out in zip(plan(), outs, strict=True)]
    continued = dict(trainer(engine).train(rest, DATA))
    for number, curve in whole.items():
        assert continued[number].validation_loss == curve.validation_loss
        assert continued[number].train_loss == curve.train_loss


def test_a_scaler_of_tables_for_windows_names_the_one_of_channels():
    x = np.zeros((4, 3, 2))
    with (
        pytest.raises(
            DataError, match=r"dim 3.*scale each channel: PerChannel\(StandardScaler\(\)\)"
        ),
        name_failing_transformer(StandardScaler(), {}),
    ):
        StandardScaler().fit(x)
