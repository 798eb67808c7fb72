"""Training on streams: whatever gives them, continued bit for bit, and judged as rows are."""

import dataclasses
import re

import keras
import numpy as np
import pytest

from hpsearch import Data, Given, Task
from hpsearch.core.errors import BuildError, DataError
from hpsearch.core.streamed import HELD_OUT_BATCH
from hpsearch.evaluators import TrainingFailed
from hpsearch.training import backend
from hpsearch.training.base import SPLIT_OF_STREAMS, Fit, Split
from tests.builds import network
from tests.training.continuing import check_continuing

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(np.int64)
ROWS = 90  # trained on; the others are validated
PARAMS = {"batch_size": 20}
CLASSES = {"loss": "sparse_categorical_crossentropy", "metric": "accuracy", "outputs": 2}
# The metrics of Keras and of scikit-learn, and those of our own.
BINARY = {"loss": "binary_crossentropy", "metric": "roc_auc", "metrics": ["accuracy", "f1"]}


def with_dropout(spec):
    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, "relu")(inputs))
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile(keras.optimizers.Adam(0.01), loss=spec.loss, metrics=spec.metrics)
    return model


def cut(rows, size):
    for start in range(0, len(rows), size):
        yield X[rows[start : start + size]], Y[rows[start : start + size]]


def in_order(seed, batch_size):
    return cut(np.arange(ROWS), batch_size)


def shuffled(seed, batch_size):
    return cut(np.random.default_rng(seed).permutation(ROWS), batch_size)


def held_out(seed, batch_size):
    return cut(np.arange(ROWS, len(X)), batch_size)


def evaluate(data, options=CLASSES, build=with_dropout, epochs=2, params=PARAMS, **more):
    return Given().evaluate(
        build, params, Task("t", data, **options), epochs=epochs, engine="fit", **more
    )


def fit_trainer(data, options=CLASSES):
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    return FitTrainer(Task("t", data, **options))


class Loader:
    """As a torch DataLoader: lists of tensors, which become arrays."""

    class Tensor:
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return self.array

    def __init__(self, parts):
        self.parts = list(parts)

    def __len__(self):
        return len(self.parts)

    def __iter__(self):
        return ([self.Tensor(x), self.Tensor(y)] for x, y in self.parts)


class Parts(keras.utils.PyDataset):
    def __init__(self, parts, **options):
        super().__init__(**options)
        self.parts = list(parts)

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, number):
        return self.parts[number]


def as_tensors(parts):
    import tensorflow as tf

    parts = list(parts)
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(len(parts[0][0]))


def as_grain(parts):
    import grain

    return grain.MapDataset.source(list(parts)).to_iter_dataset()


def as_grain_loader(parts):
    import grain

    parts = list(parts)
    sampler = grain.samplers.IndexSampler(len(parts), shuffle=False, num_epochs=1)
    return grain.DataLoader(data_source=parts, sampler=sampler, worker_count=0)


KINDS = {
    "list": list,
    "loader": Loader,
    "PyDataset": Parts,
    "PyDataset of threads": lambda parts: Parts(parts, workers=3),
    "tf.data": as_tensors,
    "grain": as_grain,
    "grain loader": as_grain_loader,
}


@pytest.fixture(scope="module")
def by_generator():
    return evaluate(Data.streams(shuffled, held_out))


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_what_gives_the_batches(kind, by_generator):
    def stream(part):
        return lambda seed, batch_size: KINDS[kind](part(seed, batch_size))

    found = evaluate(Data.streams(stream(shuffled), stream(held_out)))
    assert found.folds[0].validation_loss == by_generator.folds[0].validation_loss
    assert found.folds[0].train_loss == by_generator.folds[0].train_loss
    assert (found.folds[0].rows, found.se) == (len(X) - ROWS, by_generator.se)


@pytest.mark.parametrize("options", [CLASSES, BINARY], ids=["counted", "predicted"])
def test_a_stream_gives_what_rows_in_its_order_give(options):
    """To the last bit, metrics from predictions too; those of training rows are left out."""
    split = Split(np.arange(ROWS), np.arange(ROWS, len(X)))
    params = PARAMS | {"shuffle": False}
    ((_, rows),) = fit_trainer(Data(X, Y), options).train(
        [Fit(with_dropout, params, split, 3, 2)], Data(X, Y)
    )
    data = Data.streams(in_order, held_out)
    ((_, stream),) = fit_trainer(data, options).train(
        [Fit(with_dropout, PARAMS, SPLIT_OF_STREAMS, 3, 2)], data
    )
    for curve in ("train_loss", "validation_loss", "validation"):
        assert getattr(stream, curve) == getattr(rows, curve)
    for name in options.get("metrics", []):
        assert stream.metrics[name]["validation"] == rows.metrics[name]["validation"]
    predicted = options is BINARY
    assert np.isnan(stream.train).all() == predicted
    assert predicted or stream.train == rows.train


def test_each_epoch_has_a_seed_of_its_own_and_validation_always_the_same():
    seeds = {"train": [], "validation": []}

    def note(part, function):
        def stream(seed, batch_size):
            seeds[part].append((seed, batch_size))
            return function(seed, batch_size)

        return stream

    data = Data.streams(note("train", shuffled), note("validation", held_out))
    seeds["train"].clear()
    evaluate(data, epochs=3)
    of_epochs = seeds["train"][-3:]
    assert len(set(of_epochs)) == 3
    assert {size for _, size in of_epochs} == {20}
    assert set(seeds["validation"]) == {(0, HELD_OUT_BATCH)}


def test_continuing_equals_never_stopping(tmp_path):
    data = Data.streams(shuffled, held_out)
    fits = [Fit(with_dropout, PARAMS, SPLIT_OF_STREAMS, seed, 4) for seed in (1, 2)]
    curves = check_continuing(fit_trainer(data), fits, data, tmp_path)
    assert curves[0].train_loss != curves[1].train_loss


def test_fits_of_one_order_share_their_batches():
    first = []

    def noted(seed, batch_size):
        first.append(seed)
        return shuffled(seed, batch_size)

    data = Data.streams(noted, held_out)
    fits = [Fit(network, PARAMS, SPLIT_OF_STREAMS, seed, 1, order_seed=5) for seed in (1, 2)]
    first.clear()
    list(fit_trainer(data).train(fits, data))
    assert len(set(first) - {0}) == 1


@pytest.mark.thorough
@pytest.mark.skipif(backend.name() == "tensorflow", reason="this runs on it")
def test_all_of_this_holds_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(__file__)


def varied(seed, batch_size):
    """Epochs of unequal length."""
    rows = np.random.default_rng(seed).permutation(ROWS)
    return cut(rows[: 20 + seed % 60], 10)


def test_epochs_may_differ_in_length():
    """None is cut to the length of the first."""
    steps = []

    class Count(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            steps.append(0)

        def on_train_batch_end(self, batch, logs=None):
            steps[-1] += 1

    seeds = []

    def noted(seed, batch_size):
        seeds.append(seed)
        return varied(seed, batch_size)

    evaluate(Data.streams(noted, held_out), epochs=4, callbacks=lambda trial: [Count()])
    wanted = [-(-(20 + seed % 60) // 10) for seed in seeds[-4:]]
    assert steps == wanted
    assert len(set(steps)) > 1


def test_steps_end_an_endless_stream_and_callbacks_are_told():
    told = []

    def endless(seed, batch_size):
        rng = np.random.default_rng(seed)
        while True:
            at = rng.integers(0, ROWS, batch_size)
            yield X[at], Y[at]

    class Note(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            told.append(self.params["steps"])

    def noting(trial):
        return [Note()]

    data = Data.streams(endless, held_out, steps=3)
    found = evaluate(data, callbacks=noting)
    assert (told, found.folds[0].train_rows) == ([3], 60)
    evaluate(Data.streams(shuffled, held_out), callbacks=noting)
    assert told == [3, None]


def with_schedule(spec):
    model = with_dropout(spec)
    rate = keras.optimizers.schedules.CosineDecay(0.01, spec.steps_per_epoch * spec.epochs)
    model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
    return model


def test_schedules_need_a_known_number_of_steps():
    with pytest.raises(BuildError, match=re.escape("say Data.streams(steps=)")):
        evaluate(Data.streams(shuffled, held_out), build=with_schedule)
    listed = Data.streams(lambda seed, size: list(shuffled(seed, size)), held_out)
    evaluate(listed, build=with_schedule)

    def too_long(spec):
        assert spec.steps_per_epoch == 5
        model = with_dropout(spec)
        rate = keras.optimizers.schedules.CosineDecay(0.01, 11)
        model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
        return model

    task = Task("t", listed, **CLASSES)
    with pytest.raises(BuildError, match="ends after 11 steps"):
        fit_trainer(listed).probe(too_long, [PARAMS], SPLIT_OF_STREAMS, task.load(), most_epochs=2)


def from_second_epoch(change):
    """The stream of a function in the first call of each seed's fit, then what `change` makes of it."""
    calls = []

    def stream(seed, batch_size):
        calls.append(seed)
        parts = list(shuffled(seed, batch_size))
        return parts if len(calls) <= 2 else change(parts)

    return stream


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: [], "train gave no batches"),
        (lambda parts: [(x[:, :2], y) for x, y in parts], "all batches must be alike"),
        (lambda parts: [x for x, _ in parts], "must give batches (x, y) or (x, y, weights)"),
        (lambda parts: [(x * np.nan, y) for x, y in parts], "x of train holds NaN or infinity"),
    ],
    ids=["empty", "shape", "no y", "NaN"],
)
def test_a_stream_that_goes_wrong_says_so_in_one_line(change, message):
    with pytest.raises(DataError, match=re.escape(message)) as refused:
        evaluate(Data.streams(from_second_epoch(change), held_out), epochs=5)
    assert "\n" not in str(refused.value)


def test_a_stream_that_ends_before_its_steps_says_so():
    def short(seed, batch_size):
        return list(shuffled(seed, batch_size))[: 5 if seed in (0, 1) else 3]

    with pytest.raises(DataError, match=r"train ended after 3 batches, and Data\.streams says 5"):
        evaluate(Data.streams(short, held_out, steps=5))


def test_a_diverging_fit_says_so():
    def infinite(spec):
        model = with_dropout(spec)
        model.compile(keras.optimizers.SGD(1e30), loss=spec.loss, metrics=spec.metrics)
        return model

    with pytest.raises(TrainingFailed, match="became"):
        evaluate(Data.streams(shuffled, held_out), build=infinite)


def test_the_probe_reads_all_of_validation_and_refuses_shuffle():
    def bad_end(seed, batch_size):
        yield from held_out(seed, 20)
        yield X[:3, :2], Y[:3]

    data = Data.streams(shuffled, bad_end)
    with pytest.raises(DataError, match="validation gave a batch of"):
        fit_trainer(data).probe(network, [PARAMS], SPLIT_OF_STREAMS, data)
    data = Data.streams(shuffled, held_out)
    with pytest.raises(BuildError, match="shuffle in the space has no effect on streams"):
        fit_trainer(data).probe(network, [{"shuffle": True}], SPLIT_OF_STREAMS, data)
    assert fit_trainer(data).probe(network, [PARAMS], SPLIT_OF_STREAMS, data) is None


def test_the_probe_trains_a_batch_where_a_step_shows_too_little():
    data = Data.streams(shuffled, held_out)

    def own_step(spec):
        class Model(keras.Model):
            def fit(self, *arguments, **options):
                return super().fit(*arguments, **options)

        inputs = keras.Input(spec.input_shape)
        model = Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(inputs))
        model.compile("adam", loss=spec.loss, metrics=spec.metrics)
        return model

    fit_trainer(data).probe(own_step, [PARAMS], SPLIT_OF_STREAMS, data)


def test_several_inputs_and_outputs_and_weights():
    weights = {
        "big": np.ones(len(X), np.float32),
        "sum": np.linspace(0, 1, len(X), dtype=np.float32),
    }

    def parts(seed, batch_size, first=0, end=ROWS):
        for start in range(first, end, batch_size):
            at = np.arange(start, min(end, start + batch_size))
            x = {"left": X[at, :2], "right": X[at, 2:]}
            y = {"big": Y[at].astype(np.float32), "sum": X[at].sum(1)}
            yield x, y, {name: each[at] for name, each in weights.items()}

    def last(seed, batch_size):
        for x, y, _ in parts(seed, batch_size, ROWS, len(X)):
            yield x, y

    def build(spec):
        inputs = {name: keras.Input(shape, name=name) for name, shape in spec.input_shape.items()}
        x = keras.layers.Concatenate()(list(inputs.values()))
        outputs = {
            name: keras.layers.Dense(units, spec.activation[name], name=name)(x)
            for name, units in spec.outputs.items()
        }
        model = keras.Model(inputs, outputs)
        model.compile("adam", loss=spec.loss, metrics=spec.metrics, loss_weights=spec.loss_weights)
        return model

    options = {
        "loss": {"big": "binary_crossentropy", "sum": "mse"},
        "metric": "big/roc_auc",
        "metrics": ["sum/mae"],
    }
    found = evaluate(Data.streams(parts, last), options, build)
    assert 0 <= found.value <= 1
    weights["sum"] *= 0
    assert evaluate(Data.streams(parts, last), options, build).folds[0].train_loss != (
        found.folds[0].train_loss
    )


def test_patience_and_own_callbacks_end_a_fit():
    sluggish = dataclasses.replace(Fit(with_dropout, PARAMS, SPLIT_OF_STREAMS, 1, 9), patience=2)

    def still(spec):
        model = with_dropout(spec)
        model.compile(keras.optimizers.SGD(1e-12), loss=spec.loss, metrics=spec.metrics)
        for layer in model.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        return model

    data = Data.streams(shuffled, held_out)
    ((_, curve),) = fit_trainer(data).train([dataclasses.replace(sluggish, build=still)], data)
    assert len(curve.validation) == 3

    for last in (1, 4):  # the fifth batch is the last of an epoch

        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None, last=last):
                self.model.stop_training |= batch == last

        found = evaluate(data, callbacks=lambda trial, stop=Stop: [stop()], epochs=5)
        assert len(found.folds[0].validation) == 1


def test_data_from_a_stream_of_one_column_trains_as_a_column():
    """Losses of Keras would otherwise compare every row with every other."""

    def column(stream):
        return lambda seed, size: [(x, y.reshape(-1, 1)) for x, y in stream(seed, size)]

    options = {"loss": "binary_crossentropy", "metric": "loss"}
    flat = evaluate(Data.streams(shuffled, held_out), options)
    tall = evaluate(Data.streams(column(shuffled), column(held_out)), options)
    assert flat.folds[0].validation_loss == tall.folds[0].validation_loss
