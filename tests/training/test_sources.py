"""Rows of sources in training: equal to those of arrays, read no more than needed, and errors."""

import dataclasses
import re

import numpy as np
import pytest

from hpsearch import Data, Holdout, KFold, Task
from hpsearch.core import arrays as array_rules
from hpsearch.core import memory
from hpsearch.core.errors import BuildError, DataError, SourceChangedError
from hpsearch.core.reading import lazy_rows
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.trial import Job
from hpsearch.runs.worker import prepare_here
from hpsearch.training import Fit, Phase, Phases, backend, engines, sklearn_model
from hpsearch.training.rows import prepare_rows
from tests.contracts.trainer import arrays, same
from tests.training.made_sources import Rows, list_readers

RNG = np.random.default_rng(0)
N = 131  # no multiple of any minibatch
X = RNG.normal(size=(N, 5)).astype("float32")
CLASSES = (X[:, 0] + X[:, 1] > 0).astype("int64") + (X[:, 2] > 0.5)
PIXELS = RNG.integers(0, 255, size=(N, 4, 4, 1)).astype("uint8")
WEIGHTS = RNG.uniform(0.2, 2, N).astype("float32")
TWO_INPUTS = {"a": X, "b": X[:, :2].astype("float64")}
STEPS = RNG.normal(size=(N, 6, 2)).astype("float32")
STEP_CLASSES = (STEPS[..., 0] > 0).astype("int64")
MASK = (RNG.uniform(size=(N, 6)) > 0.2).astype("float32")
CROSS_ENTROPY = {"loss": "sparse_categorical_crossentropy", "metric": "accuracy"}


def network(spec, rate=0.2):
    """A network of whatever inputs and outputs a task has."""
    import keras

    shapes = spec.input_shape if isinstance(spec.input_shape, dict) else {"x": spec.input_shape}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    x = list(inputs.values())
    if len(x[0].shape) > 3:
        x = [keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(each)) for each in x]
    x = keras.layers.Concatenate()(x) if len(x) > 1 else x[0]
    x = keras.layers.Dropout(rate)(keras.layers.Dense(8, activation="relu")(x))
    if isinstance(spec.outputs, dict):
        y = {
            name: keras.layers.Dense(units, spec.activation[name], name=name)(x)
            for name, units in spec.outputs.items()
        }
    else:
        y = keras.layers.Dense(spec.outputs, spec.activation)(x)
    model = keras.Model(inputs if isinstance(spec.input_shape, dict) else inputs["x"], y)
    model.compile(
        keras.optimizers.Adam(0.01),
        spec.loss,
        metrics=spec.metrics,
        **({} if spec.loss_weights is None else {"loss_weights": spec.loss_weights}),
    )
    return model


CASES = {
    "floats": (X, {"y": CLASSES}, CROSS_ENTROPY),
    "doubles": (X.astype("float64"), {"y": X[:, 0]}, {"loss": "mse", "metric": "mae"}),
    "pictures": (PIXELS, {"y": CLASSES}, CROSS_ENTROPY),
    "weights": (X, {"y": CLASSES, "sample_weight": WEIGHTS}, CROSS_ENTROPY),
    "weighted metrics": (
        X,
        {"y": CLASSES, "sample_weight": WEIGHTS},
        {**CROSS_ENTROPY, "metrics": ["f1_macro"], "weighted_metrics": True},
    ),
    "inputs": (TWO_INPUTS, {"y": CLASSES}, CROSS_ENTROPY),
    "outputs": (
        TWO_INPUTS,
        {"y": {"kind": CLASSES, "size": X[:, 1]}},
        {
            "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
            "metric": "kind/accuracy",
            "metrics": {"kind": ["f1_macro"], "size": ["mae"]},
        },
    ),
    "sequences": (STEPS, {"y": STEP_CLASSES, "sample_weight": MASK}, CROSS_ENTROPY),
}


def train(trainer, task, data, tmp_path, split, **changes):
    """The curve of a fit, and the state in which it ends."""
    out = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
    fit = Fit(network, {"batch_size": 32}, split, 7, 3, checkpoint_out=out)
    ((_, curve),) = trainer.train([dataclasses.replace(fit, **changes)], data)
    return dataclasses.replace(curve, seconds=0.0), arrays(out)


def split_of(task, data):
    return KFold(3).splits(task, data, seed=1)[0]


# -- equal to arrays


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_source_trains_as_the_array_does_to_the_last_bit(tmp_path, case):
    """Curves, predicted metrics, weights and the optimizer's state."""
    x, others, options = CASES[case]
    found = []
    for rows in (x, Rows(x, delay=0.002)):
        task = Task("t", Data(rows, **others), **options)
        data = task.load()
        trainer = engines.make_trainer(task, "fit", backend.choose())
        found.append(train(trainer, task, data, tmp_path, split_of(task, data)))
    (curve, state), (other, other_state) = found
    assert curve == other
    assert same(state, other_state)
    assert list_readers() == []


@pytest.mark.slow
def test_an_array_beside_a_source_is_an_input_as_any_other(tmp_path):
    mixed = {"a": Rows(X), "b": TWO_INPUTS["b"]}
    found = []
    for x in (TWO_INPUTS, mixed):
        task = Task("t", Data(x, CLASSES), **CROSS_ENTROPY)
        data = task.load()
        trainer = engines.make_trainer(task, "fit", backend.choose())
        found.append(train(trainer, task, data, tmp_path, split_of(task, data)))
    assert found[0][0] == found[1][0]


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_large_array_is_not_copied_for_a_fold_and_trains_as_before(
    tmp_path, monkeypatch, weights
):
    task = Task("t", Data(X, CLASSES, sample_weight=weights), **CROSS_ENTROPY)
    data = task.load()
    trainer = engines.make_trainer(task, "fit", backend.choose())
    copied = train(trainer, task, data, tmp_path, split_of(task, data))
    monkeypatch.setattr(array_rules, "LARGE", 100)
    rows = prepare_rows(task, data, split_of(task, data), copies_large=False)
    assert isinstance(rows.x, LazyRows)
    assert rows.x.reader.source.array is data.x
    viewed = train(trainer, task, data, tmp_path, split_of(task, data))
    assert copied[0] == viewed[0]
    assert same(copied[1], viewed[1])


def test_nan_in_a_large_array_is_found_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(array_rules, "LARGE", 100)
    x = X.copy()
    x[77, 2] = np.nan
    task = Task("t", Data(x, CLASSES), **CROSS_ENTROPY)
    with pytest.raises(DataError, match="x holds NaN or infinity in 1 of"):
        prepare_rows(task, task.load(), split_of(task, task.load()), copies_large=False)


@pytest.mark.slow
def test_a_fit_over_a_source_continues_bit_for_bit(tmp_path):
    task = Task("t", Data(Rows(X, delay=0.001), CLASSES), **CROSS_ENTROPY)
    data = task.load()
    trainer = engines.make_trainer(task, "fit", backend.choose())
    split = split_of(task, data)
    whole = train(trainer, task, data, tmp_path, split, epochs=4)
    train(trainer, task, data, tmp_path, split, epochs=2)
    half = tmp_path / "1.npz"
    rest = train(trainer, task, data, tmp_path, split, epochs=4, checkpoint_in=half)
    assert whole[0] == rest[0]
    assert same(whole[1], rest[1])


@pytest.mark.slow
def test_each_row_is_read_once_an_epoch():
    source = Rows(X)
    task = Task("t", Data(source, CLASSES), **CROSS_ENTROPY)
    trainer = engines.make_trainer(task, "fit", backend.choose())
    data = task.load()
    split, before = split_of(task, data), source.count_reads()
    fit = Fit(network, {"batch_size": 32}, split, 7, 3)
    list(trainer.train([fit], data))
    reads = (source.count_reads() - before)[split.train[split.train > 0]]  # row 0 shows the shape
    assert reads.min() == 3
    # TensorFlow asks for the first minibatches once more, to see their types.
    assert reads.max() == 3 or backend.choose() == "tensorflow"


# -- what fails


@pytest.mark.slow
def test_a_row_that_cannot_be_read_is_named_and_nothing_goes_on_reading(tmp_path):
    source = Rows(X, fail_at=90)
    source.fails = False
    task = Task("t", Data(source, CLASSES), **CROSS_ENTROPY)
    data = task.load()
    trainer = engines.make_trainer(task, "fit", backend.choose())
    source.fails = True
    with pytest.raises(
        DataError, match=r"^row 90 of x cannot be read: OSError: stale file handle$"
    ):
        train(trainer, task, data, tmp_path, split_of(task, data))
    assert list_readers() == []


def run_trial(source, change):
    """The outcome of a trial over a source that changes after the study was tried."""
    from hpsearch import Random, Space, Study

    study = Study(
        task=Task("t", Data(source, CLASSES), **CROSS_ENTROPY),
        space=Space(),
        build=network,
        searcher=Random(trials=1, epochs=2),
        evaluator=Holdout(0.3),
        name="s",
    )
    _, work = prepare_here(study, None, "fit")
    change()
    ((_, outcome),) = work([Job({}, 2)])
    return outcome


@pytest.mark.slow
def test_a_row_that_cannot_be_read_fails_its_trial_and_not_the_run():
    source = Rows(X, fail_at=90)
    source.fails = False
    outcome = run_trial(source, lambda: setattr(source, "fails", True))
    assert outcome.failure.kind == "exception"
    assert outcome.failure.message == (
        "DataError: row 90 of x cannot be read: OSError: stale file handle"
    )


@pytest.mark.slow
def test_a_source_that_shrinks_ends_the_run():
    source = Rows(X)
    with pytest.raises(
        SourceChangedError, match="had 131 rows when it was opened, and has 130 now"
    ):
        run_trial(source, lambda: setattr(source, "length", N - 1))


# -- side by side


def gang(task, monkeypatch=None, memory_bytes=None, **options):
    if backend.choose() != "jax":
        pytest.skip("trains on JAX")
    if memory_bytes is not None:
        from hpsearch.training.batched import device_data

        monkeypatch.setattr(device_data, "device_bytes", lambda: memory_bytes)
    return engines.make_trainer(task, options.pop("engine", "auto"), "jax", **options)


@pytest.mark.slow
def test_a_source_that_fits_the_device_is_read_once_and_trained_side_by_side():
    source = Rows(X)
    task = Task("t", Data(source, CLASSES), **CROSS_ENTROPY)
    trainer, data = gang(task), task.load()
    splits = KFold(3).splits(task, data, seed=1)
    before = source.count_reads()
    fits = [Fit(network, {}, split, 7, 2) for split in splits]
    first = dict(trainer.train(fits, data))
    second = dict(trainer.train(fits[:2], data))  # fewer fits may lie on other devices
    reads = source.count_reads() - before
    assert reads[1:].max() == reads[1:].min() == 1
    for n in range(2):
        assert first[n].validation == pytest.approx(second[n].validation, rel=1e-6)
    assert all(curve.program for curve in first.values())


@pytest.mark.slow
def test_a_source_too_large_for_the_device_is_trained_by_fit_and_says_so(tmp_path, monkeypatch):
    task = Task("t", Data(Rows(X), CLASSES), **CROSS_ENTROPY)
    trainer, data = gang(task, monkeypatch, 8 * (X.nbytes - 1)), task.load()
    split = split_of(task, data)
    remark = trainer.probe(network, [{}], split, data)
    assert re.fullmatch(
        r"models are trained one after the other, by fit: x takes 0\.0 MiB, and up to 0\.0 MiB, an "
        r"eighth of the memory, are put on the device",
        remark,
    )
    streamed = train(trainer, task, data, tmp_path, split)
    by_fit = train(engines.make_trainer(task, "fit", "jax"), task, data, tmp_path, split)
    assert streamed[0] == by_fit[0]
    strict = engines.make_trainer(task, "gang", "jax")
    with pytest.raises(BuildError, match="--engine gang cannot train this model: x takes"):
        strict.probe(network, [{}], split, data)
    assert gang(task, monkeypatch, 8 * X.nbytes).probe(network, [{}], split, data) is None


@pytest.mark.slow
def test_rows_that_each_split_preprocesses_for_itself_count_as_often_as_there_are_folds(
    monkeypatch,
):
    from sklearn.preprocessing import StandardScaler

    task = Task("t", Data(Rows(X), CLASSES), **CROSS_ENTROPY, preprocess=StandardScaler())
    data = task.load()
    split = split_of(task, data)
    assert gang(task, monkeypatch, 8 * 3 * X.nbytes).probe(network, [{}], split, data) is None
    assert gang(task, monkeypatch, 8 * 3 * X.nbytes - 8).probe(network, [{}], split, data)


def frozen_network(spec):
    import keras

    keras.utils.set_random_seed(3)
    lower = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 4, activation="relu")])
    lower.trainable = False
    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            lower,
            keras.layers.Flatten(),
            keras.layers.Dense(spec.outputs, spec.activation),
        ]
    )

    def compiled():
        model.compile("adam", spec.loss, metrics=spec.metrics)
        return model

    return Phases(Phase(compiled))


@pytest.mark.slow
def test_features_of_frozen_layers_are_put_on_the_device_where_the_rows_are_too_large(
    tmp_path, monkeypatch
):
    found = []
    for x in (PIXELS, Rows(PIXELS)):
        task = Task("t", Data(x, CLASSES), **CROSS_ENTROPY)
        # Four bytes a row instead of sixteen.
        trainer, data = gang(task, monkeypatch, 8 * 4 * N, shared=tmp_path), task.load()
        fits = [
            Fit(frozen_network, {}, split, 7, 3) for split in KFold(3).splits(task, data, seed=1)
        ]
        found.append([curve.validation_loss for _, curve in sorted(trainer.train(fits, data))])
    assert list(tmp_path.glob("features-*.npy"))
    assert found[0] == found[1]
    before = data.x.reader.source.count_reads()
    assert before[1:].max() <= 2  # its sample for the fingerprint beside
    trainer = gang(task, monkeypatch, 8 * 4 * N - 8, shared=tmp_path)
    assert "what the frozen layers give for x takes" in trainer.probe(
        frozen_network, [{}], fits[0].split, data
    )


@pytest.mark.slow
def test_preprocessing_reads_a_source_once_for_each_split(monkeypatch):
    from sklearn.preprocessing import StandardScaler

    from hpsearch.training import preprocessing as rules

    monkeypatch.setattr(rules, "_MOST_PREPARED", 100)  # chunk by chunk, by partial_fit
    source = Rows(X)
    task = Task("t", Data(source, CLASSES), **CROSS_ENTROPY, preprocess=StandardScaler())
    data = task.load()
    splits = KFold(3).splits(task, data, seed=1)
    before = source.count_reads()
    fitted = [prepare_rows(task, data, split).transformer for split in splits]
    again = [prepare_rows(task, data, split).transformer for split in splits]
    reads = (source.count_reads() - before)[1:]
    assert reads.min() == reads.max() == 2  # a row is in the training rows of two of three
    assert all(one is other for one, other in zip(fitted, again, strict=True))
    wanted = StandardScaler().fit(X[splits[1].train]).mean_
    np.testing.assert_allclose(fitted[1].mean_, wanted, rtol=1e-6)


# -- training functions


def descend(run):
    """Least squares by minibatches."""
    x, y = run.train
    weights = np.zeros((x.shape[1], 1))

    def predict(rows):
        return np.asarray(rows) @ weights

    for _ in run.epochs():
        for some in np.array_split(np.random.permutation(len(x)), 5):
            weights = weights - 0.05 * x[some].T @ (x[some] @ weights - y[some]) / len(some)
        run.report(**run.measure(predict, train=True))
    return predict


def evaluate(train, x, **options):
    task = Task("t", Data(x, X[:, 0]), "mse", "mae")
    return KFold(2).evaluate(train=train, task=task, params={}, epochs=2, **options)


def test_a_training_function_gets_rows_that_are_read_by_number():
    assert evaluate(descend, Rows(X)).folds[0].validation == pytest.approx(
        evaluate(descend, X).folds[0].validation, rel=1e-6
    )


def test_predictions_are_measured_part_by_part(monkeypatch):
    sizes = []

    def constant(run):
        def predict(rows):
            sizes.append((type(rows), len(rows)))
            return np.zeros(len(rows))

        for _ in run.epochs():
            run.report(**run.measure(predict))

    monkeypatch.setattr("hpsearch.training.own._ROWS_AT_A_TIME", 40)
    found = evaluate(constant, Rows(X)).folds[0].validation[0]
    assert {kind for kind, _ in sizes} == {np.ndarray}
    assert max(size for _, size in sizes) == 40
    assert found == pytest.approx(evaluate(constant, X).folds[0].validation[0])


def test_reading_all_rows_is_refused_where_they_are_too_many(monkeypatch):
    monkeypatch.setattr(memory, "process_memory", lambda: 1000)

    def reads_all(run):
        np.asarray(run.train[0])

    with pytest.raises(DataError, match=r"x takes .* as one array, and .* is the most; read some"):
        evaluate(reads_all, Rows(X))


def test_estimators_learn_from_a_source_as_from_the_array():
    from sklearn.linear_model import Ridge

    one = evaluate(sklearn_model(Ridge), Rows(X))
    assert one.folds[0].validation == evaluate(sklearn_model(Ridge), X).folds[0].validation


def test_partial_fit_gets_some_rows_at_a_time_where_not_all_fit(monkeypatch):
    from sklearn.linear_model import SGDRegressor

    sizes = []

    class Counting(SGDRegressor):
        def partial_fit(self, x, y, sample_weight=None):
            sizes.append(len(x))
            return super().partial_fit(x, y, sample_weight)

    monkeypatch.setattr(memory, "process_memory", lambda: 1000)
    # Reading takes the row as the source gives it, and as a row of a table.
    monkeypatch.setattr("hpsearch.training.sklearn_models._PART_BYTES", 2 * 20 * X[0].nbytes)
    found = evaluate(sklearn_model(Counting, by="partial_fit"), Rows(X))
    assert max(sizes) == 20
    assert sizes[-4:] == [20, 20, 20, 6]
    assert np.isfinite(found.folds[0].validation[-1])


# -- rows as arrays


def test_lazy_rows_are_indexed_as_arrays_are():
    rows = Data(Rows(X), CLASSES).x
    mask = CLASSES == 1
    for index in (3, -1, slice(2, 9, 3), slice(None, None, -1), [5, -2, 5], mask, np.int32(4), []):
        wanted = X[np.array([], int) if isinstance(index, list) and not index else index]
        assert np.array_equal(rows[index], wanted), index
        if isinstance(index, slice | list):
            assert np.array_equal(rows.view(index)[:], wanted)
    assert np.array_equal(rows.view(np.arange(9, 3, -1))[-2], X[5])
    for index in ((slice(None), 0), N, -N - 1, 1.5, mask[:-1]):
        with pytest.raises(IndexError, match="x"):
            rows[index]


def test_several_inputs_of_a_source_are_read_in_one_go():
    source = Rows(TWO_INPUTS)
    data = Data(source, CLASSES)
    before = source.count_reads()
    found = array_rules.read_rows(data.x)
    assert all(np.array_equal(found[name], TWO_INPUTS[name]) for name in TWO_INPUTS)
    assert set(source.count_reads() - before) == {1}


def test_reading_all_stops_at_the_first_row_that_cannot_be_read(monkeypatch):
    monkeypatch.setattr(lazy_rows, "_CHUNK", 10 * X[0].nbytes)
    rows = Data(Rows(X, fail_at=33), CLASSES).x
    with pytest.raises(DataError, match="row 33 of x cannot be read"):
        rows.read()
    assert list_readers() == []


def test_memory_maps_are_read_ahead_and_arrays_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(array_rules, "LARGE", 100)
    large = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (2**21, 5))
    assert not Data(large, np.zeros(2**21)).x.is_in_memory
    assert array_rules.read_when_needed(X).is_in_memory


@pytest.mark.slow
@pytest.mark.thorough
def test_sources_train_as_arrays_on_tensorflow_too(check_on_tensorflow):
    if backend.choose() == "jax":
        check_on_tensorflow("tests/training/test_sources.py", "-k", "not side_by_side")


def test_an_input_without_a_transformer_stays_as_it_is():
    from sklearn.preprocessing import StandardScaler

    from hpsearch.training.base import Split
    from hpsearch.training.rows import prepare_rows

    a, b = np.arange(12.0).reshape(6, 2), np.ones((6, 2))
    data = Data({"a": a, "b": b}, np.arange(6.0))
    task = Task("t", data, "mse", preprocess={"a": StandardScaler(), "b": None})
    rows = prepare_rows(task, data, Split(np.arange(4), np.arange(4, 6)))
    assert np.array_equal(rows.x["b"], b[:4])
    assert abs(rows.x["a"].mean()) < 1e-9
