"""A study's own Keras callbacks: the same curve as plain Keras, also where a fit continues."""

import collections
import csv
import dataclasses
import datetime
import logging

import numpy as np
import pytest

from hpsearch import Holdout, KFold
from hpsearch.core import interrupt
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.core.trial import CheckpointInterval
from hpsearch.tasks import digits
from hpsearch.training import backend
from hpsearch.training.base import Fit
from spaces import mlp
from tests.contracts.trainer import arrays, same

pytestmark = pytest.mark.slow

backend.choose()
import keras  # noqa: E402

callbacks = keras.callbacks
WHOLE = digits.task()
DATA = WHOLE.load().take(np.arange(300))
(SPLIT,) = Holdout(rows=100).splits(WHOLE, DATA, seed=1)
EPOCHS = 6


def build(spec, learning_rate=0.05, ema=False):
    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(8, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    optimizer = keras.optimizers.Adam(learning_rate, use_ema=ema, ema_momentum=0.9)
    model.compile(optimizer, spec.loss, metrics=spec.metrics)
    return model


def fit(make=None, **changes):
    options = {"callbacks": make, "order_seed": 3, "most_epochs": EPOCHS, **changes}
    return dataclasses.replace(Fit(build, {"learning_rate": 0.05}, SPLIT, 7, EPOCHS), **options)


def train(one, task=WHOLE):
    from hpsearch.training.fit import FitTrainer

    ((_, curve),) = FitTrainer(task).train([one], DATA)
    assert curve.failure is None
    return curve


def probe(make, build=build, task=WHOLE):
    from hpsearch.training.fit import FitTrainer

    points = [{"learning_rate": 0.05}]
    return FitTrainer(task).probe(build, points, SPLIT, DATA, callbacks=make)


def train_plainly(one):
    """The logs of plain Keras, and its model, with the same seed, rows and callbacks."""
    from hpsearch.training import metrics
    from hpsearch.training.building import build_model
    from hpsearch.training.fit_callbacks import ShuffleCallback
    from hpsearch.training.minibatches import Minibatches
    from hpsearch.training.rows import make_model_spec, prepare_rows

    rows = prepare_rows(WHOLE, DATA, one.split)
    spec = make_model_spec(WHOLE, rows, DATA.y, metrics.make_metrics(WHOLE), one)
    model = build_model(one.build, spec, one.params, one.seed)
    batches = Minibatches(rows, one, model)
    found = model.fit(
        batches,
        epochs=one.epochs,
        validation_data=(rows.x_validation, rows.y_validation),
        validation_batch_size=100,
        shuffle=False,
        callbacks=[*one.callbacks(None), ShuffleCallback(batches)],
        verbose=0,
    )
    return found.history, model


class Warm(callbacks.Callback):
    """A callback of a user: state in plain attributes, in place and bound anew."""

    def __init__(self):
        super().__init__()
        self.seen, self.best, self.factor = [], {"loss": None}, np.float32(1.0)
        self.means = np.zeros(2)

    def on_train_begin(self, logs=None):
        self.started = datetime.datetime.now()  # made anew here: no reason to refuse it

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(round(logs["val_loss"], 6))
        self.means += [logs["loss"], logs["val_accuracy"]]
        self.best["loss"] = min(self.seen)
        self.factor = np.float32(self.factor * (0.9 if len(self.seen) % 2 else 0.8))
        rate = self.model.optimizer.learning_rate
        self.model.optimizer.learning_rate = float(rate) * float(self.factor)


class Keeper(callbacks.Callback):
    """One that keeps its state itself, for what a checkpoint cannot hold."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def get_state(self):
        return {"counts": list(self.counts.items())}

    def set_state(self, state):
        self.counts = collections.Counter(dict(map(tuple, state["counts"])))

    def on_epoch_end(self, epoch, logs=None):
        self.counts["epochs"] += 1
        if self.counts["epochs"] == 4:
            self.model.stop_training = True


FACTORIES = {
    "plateau": lambda t: [callbacks.ReduceLROnPlateau(patience=1, factor=0.3, min_delta=0.2)],
    "early": lambda t: [callbacks.EarlyStopping(patience=2, min_delta=0.5)],
    "best": lambda t: [
        callbacks.EarlyStopping("val_accuracy", patience=1, restore_best_weights=True)
    ],
    "schedule": lambda t: [callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.7)],
    "nan": lambda t: [callbacks.TerminateOnNaN()],
    "lambda": lambda t: [callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
    "history": lambda t: [callbacks.History()],
    "own": lambda t: [Warm(), callbacks.ReduceLROnPlateau("loss", patience=1, cooldown=1)],
    "keeper": lambda t: [Keeper()],
    "none": lambda t: [],
}


@pytest.mark.parametrize("kind", FACTORIES)
def test_the_curve_is_that_of_plain_keras_and_continues_bit_for_bit(kind, tmp_path):
    one = fit(FACTORIES[kind])
    logs, _ = train_plainly(one)
    whole = train(dataclasses.replace(one, checkpoint_out=tmp_path / "whole.npz"))
    assert list(whole.validation_loss) == logs["val_loss"]
    assert list(whole.train_loss) == logs["loss"]
    assert list(whole.validation) == logs["val_accuracy"]
    # In pieces: of every length, from a file each.
    before = None
    for epochs in (1, 3, 4, 5, EPOCHS):
        out = tmp_path / f"{epochs}.npz"
        part = train(
            dataclasses.replace(one, epochs=epochs, checkpoint_in=before, checkpoint_out=out)
        )
        assert part.validation_loss == whole.validation_loss[:epochs]
        before = out
    assert same(arrays(tmp_path / "whole.npz"), arrays(before))


def test_callbacks_really_act():
    ended = {kind: len(train(fit(make)).validation) for kind, make in FACTORIES.items()}
    assert ended["none"] == ended["plateau"] == EPOCHS
    assert ended["keeper"] == 4
    assert max(ended["early"], ended["best"]) < EPOCHS
    assert train(fit(FACTORIES["plateau"])) != train(fit(FACTORIES["none"]))


@pytest.mark.parametrize("kind", ["own", "best", "plateau"])
def test_a_fit_that_was_interrupted_goes_on_bit_for_bit(kind, tmp_path, monkeypatch):
    one = fit(FACTORIES[kind], checkpoint_every=CheckpointInterval(epochs=1))
    whole = train(dataclasses.replace(one, checkpoint_out=tmp_path / "whole.npz"))
    cut = dataclasses.replace(one, checkpoint_out=tmp_path / "cut.npz")
    asked = iter([False, True])
    with monkeypatch.context() as patch:
        patch.setattr(interrupt, "is_requested", lambda: next(asked))
        with pytest.raises(interrupt.Interrupted):
            train(cut)
    assert train(cut).validation_loss == whole.validation_loss
    assert same(arrays(tmp_path / "whole.npz"), arrays(tmp_path / "cut.npz"))


class StopAt(callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            self.model.stop_training = True


@pytest.mark.parametrize("last", [2, 3])
def test_a_fit_that_a_callback_ended_stays_ended(last, tmp_path):
    """Also in the last epoch that it was asked for."""
    first = fit(lambda t: [StopAt(2)], epochs=last, checkpoint_out=tmp_path / "first.npz")
    assert len(train(first).validation) == 2
    then = dataclasses.replace(
        first, epochs=EPOCHS, checkpoint_in=first.checkpoint_out, checkpoint_out=tmp_path / "2.npz"
    )
    assert train(then).validation_loss == train(first).validation_loss
    assert same(arrays(tmp_path / "first.npz"), arrays(tmp_path / "2.npz"))


def test_the_factory_is_told_of_the_fit(tmp_path):
    told = []

    def make(trial):
        assert trial.folder.is_dir()
        told.append(trial)
        return []

    out = tmp_path / "trial" / "fold-1.npz"
    train(fit(make, fold=1, epochs=2, checkpoint_out=out))
    (trial,) = told
    assert (trial.params, trial.fold, trial.seed) == ({"learning_rate": 0.05}, 1, 7)
    assert (trial.epochs, trial.folder) == (EPOCHS, tmp_path / "trial" / "fold-1")
    assert not trial.is_refit
    assert not trial.is_probe
    told.clear()
    probe(make)
    assert [trial.is_probe for trial in told] == [True, True]
    told.clear()
    KFold(2).evaluate(mlp.model((4,)), {}, WHOLE, epochs=1, callbacks=make)
    assert [trial.fold for trial in told] == [0, 1]
    assert not any(trial.folder.exists() for trial in told)  # a temporary one


def test_files_follow_a_continued_fit(tmp_path):
    """CSVLogger(append=True) and ModelCheckpoint, in the folder of the trial."""

    def make(trial):
        return [
            callbacks.CSVLogger(trial.folder / "log.csv", append=True),
            callbacks.ModelCheckpoint(trial.folder / "best.keras", save_best_only=True),
        ]

    rung = fit(make, epochs=2, checkpoint_out=tmp_path / "1" / "fold-0.npz")
    train(rung)
    next_rung = dataclasses.replace(
        rung,
        epochs=5,
        checkpoint_in=rung.checkpoint_out,
        checkpoint_out=tmp_path / "2" / "fold-0.npz",
    )
    curve = train(next_rung)
    folder = tmp_path / "2" / "fold-0"
    rows = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == list(range(5))
    assert [float(row["val_loss"]) for row in rows] == list(curve.validation_loss)
    assert {path.name for path in folder.iterdir()} == {"log.csv", "best.keras"}
    # The first rung's files are as they were.
    first = (tmp_path / "1" / "fold-0" / "log.csv").read_text().splitlines()
    assert len(first) == 3


def test_files_of_a_fit_that_starts_anew_are_gone(tmp_path):
    def make(trial):
        return [callbacks.CSVLogger(trial.folder / "log.csv", append=True)]

    one = fit(make, epochs=2, checkpoint_out=tmp_path / "fold-0.npz")
    train(one)
    one.checkpoint_out.write_bytes(b"damaged")
    train(one)
    assert len((tmp_path / "fold-0" / "log.csv").read_text().splitlines()) == 3


@pytest.mark.filterwarnings("ignore")  # TensorFlow's own
def test_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorflow")

    def make(trial):
        return [callbacks.TensorBoard(trial.folder / "events")]

    probe(make)
    rung = fit(make, epochs=2, checkpoint_out=tmp_path / "1" / "fold-0.npz")
    train(rung)
    out = tmp_path / "2" / "fold-0.npz"
    train(
        dataclasses.replace(rung, epochs=3, checkpoint_in=rung.checkpoint_out, checkpoint_out=out)
    )
    assert len(list((tmp_path / "2" / "fold-0").rglob("*.tfevents.*"))) > 2


def test_keras_sees_the_epochs_of_the_whole_trial(tmp_path):
    """So that a schedule by `params` is the same in a rung as in a trial that never stopped."""
    seen = []

    class Look(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append((epoch, self.params["epochs"]))

    train(fit(lambda t: [Look()], epochs=2))
    assert seen == [(0, EPOCHS), (1, EPOCHS)]


# -- What is refused


class Clock(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.last = datetime.datetime.now()


class Drawer(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def on_epoch_end(self, epoch, logs=None):
        self.rng.random()


class Counter:
    n = 0


class Inside(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.counter, self.labels = Counter(), set()

    def on_epoch_end(self, epoch, logs=None):
        self.counter.n += 1


class Labels(Inside):
    def on_epoch_end(self, epoch, logs=None):
        self.labels.add(epoch)


class Half(callbacks.Callback):
    def get_state(self):
        return {}


class NotPlain(Half):
    def get_state(self):
        return {"when": datetime.datetime.now()}

    def set_state(self, state): ...


SHARED = callbacks.Callback()
TWICE = callbacks.TerminateOnNaN()


def broken(trial):
    return [callbacks.EarlyStopping(patience=trial.nothing)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: None, "callbacks= must return a list of keras.callbacks.Callback, got None"),
        (lambda t: callbacks.History(), "must return a list"),
        (lambda t: [callbacks.History], "must return a list .* got one of <class"),
        (lambda t: ["EarlyStopping"], "got one of 'EarlyStopping'"),
        (lambda t: [TWICE, TWICE], "returns one TerminateOnNaN twice in a list; make a new object"),
        (lambda t: [SHARED], "returns one Callback for two fits; make a new object in each call"),
        (broken, "callbacks= fails: AttributeError: 'TrialInfo' object has no attribute 'nothing'"),
        (lambda t: [Clock()], r"Clock changes its attribute last \(a datetime\) .* get_state\(\)"),
        (lambda t: [Drawer()], r"the callback Drawer changes its attribute rng \(a Generator\)"),
        (lambda t: [Inside()], r"the callback Inside changes its attribute counter \(a Counter\)"),
        (lambda t: [Labels()], r"the callback Labels changes its attribute labels \(a set\)"),
        (lambda t: [Half()], r"Half has only one of get_state\(\) and set_state\(state\)"),
        (lambda t: [NotPlain()], r"get_state\(\) of the callback NotPlain must return a dict"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(make, message):
    with pytest.raises(BuildError, match=message) as refused:
        probe(make)
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:Early stopping")  # Keras's own
@pytest.mark.parametrize("watched", ["val_f1_macro", "f1_macro"])
def test_what_watches_a_metric_that_keras_does_not_count_is_refused(watched):
    """Keras would warn in each epoch, and never stop."""
    task = dataclasses.replace(WHOLE, metrics=["f1_macro"])
    with pytest.raises(BuildError, match=f"EarlyStopping watches '{watched}', which this task"):
        probe(lambda trial: [callbacks.EarlyStopping(watched, mode="max")], task=task)


def test_without_checkpoints_nothing_is_refused():
    train(fit(lambda t: [Clock()], epochs=2))


def test_side_by_side_is_refused():
    with pytest.raises(HpsearchError, match="--engine gang"):
        Holdout().evaluate(build, {}, WHOLE, epochs=1, engine="gang", callbacks=lambda t: [])


def test_other_callbacks_than_a_checkpoints_begin_anew(tmp_path, caplog):
    first = fit(FACTORIES["plateau"], epochs=2, checkpoint_out=tmp_path / "c.npz")
    train(first)
    with caplog.at_level(logging.WARNING):
        train(dataclasses.replace(first, epochs=3, callbacks=FACTORIES["early"]))
    assert "they begin anew" in caplog.text


def test_a_damaged_state_is_not_used(tmp_path):
    """A checkpoint is read as data: it cannot replace a method, nor name a type."""
    from hpsearch.training.callback_state import CallbackStates
    from hpsearch.training.history import KeptCallbacks

    stop = StopAt(3)
    states = CallbackStates([stop])
    states.begin(KeptCallbacks(["StopAt"], [{"dict": [["on_epoch_end", 5], ["epoch", 2]]}]))
    assert callable(stop.on_epoch_end)
    assert stop.epoch == 2


# -- The model that is kept


def kept_model(one):
    from hpsearch.models import retrain

    (trained,) = retrain.train(WHOLE, DATA, [one], engine="fit", backend=backend.name())
    return trained.model


@pytest.mark.parametrize("kind", ["best", "own"])
def test_a_kept_model_is_as_plain_keras_leaves_it(kind, tmp_path):
    one = fit(FACTORIES[kind])
    _, plain = train_plainly(one)
    kept = kept_model(one)
    for wanted, got in zip(plain.weights, kept.weights, strict=True):
        assert np.array_equal(wanted, got)
    if kind == "best":  # not those of the last epoch
        train(dataclasses.replace(one, checkpoint_out=tmp_path / "c.npz"))
        last = arrays(tmp_path / "c.npz")["variable_0"]
        assert not np.array_equal(last, kept.weights[0])


# -- Averaged weights


@pytest.mark.parametrize("swap", [True, False])
def test_averaged_weights_are_validated_and_kept(swap, tmp_path):
    """As with SwapEMAWeights, whether the study names it or not."""
    given = (lambda t: [callbacks.SwapEMAWeights()]) if swap else (lambda t: [])
    one = fit(given, build=lambda spec, **params: build(spec, ema=True, **params))
    plainly = dataclasses.replace(one, callbacks=lambda t: [callbacks.SwapEMAWeights()])
    logs, plain = train_plainly(plainly)
    whole = train(dataclasses.replace(one, checkpoint_out=tmp_path / "whole.npz"))
    # On TensorFlow, Keras swaps by additions, which round.
    assert whole.validation_loss == pytest.approx(logs["val_loss"], rel=1e-4)
    if backend.name() == "jax":
        assert list(whole.validation_loss) == logs["val_loss"]
    for wanted, got in zip(plain.weights, kept_model(one).weights, strict=True):
        assert np.allclose(wanted, got, rtol=1e-4, atol=1e-6)
    # It goes on from the weights that are trained.
    half = dataclasses.replace(one, epochs=3, checkpoint_out=tmp_path / "half.npz")
    train(half)
    out = tmp_path / "rest.npz"
    rest = train(dataclasses.replace(one, checkpoint_in=half.checkpoint_out, checkpoint_out=out))
    assert rest.validation_loss == whole.validation_loss
    assert same(arrays(tmp_path / "whole.npz"), arrays(out))


def test_what_ranks_is_of_the_averaged_weights():
    """The kept model has on validation rows the value that the curve ends with."""
    one = fit(build=lambda spec, **params: build(spec, ema=True, **params), epochs=2)
    curve = train(one)
    x, y = DATA.x[SPLIT.validation], DATA.y[SPLIT.validation]
    predicted = kept_model(one).predict(x, verbose=0).argmax(axis=1)
    assert np.mean(predicted == y) == pytest.approx(curve.validation[-1], abs=1e-6)


def test_metrics_of_predictions_and_best_weights_are_of_the_averaged_ones(tmp_path):
    task = dataclasses.replace(WHOLE, metric="f1_macro")

    def make(trial):
        return [callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)]

    one = fit(make, build=lambda spec, **params: build(spec, ema=True, **params), epochs=3)
    curve = train(one, task)
    from sklearn.metrics import f1_score

    x, y = DATA.x[SPLIT.validation], DATA.y[SPLIT.validation]
    predicted = kept_model(one).predict(x, verbose=0).argmax(axis=1)
    assert f1_score(y, predicted, average="macro") == pytest.approx(curve.validation[-1], abs=1e-6)


# -- Refit: no rows to validate on


def test_what_watches_validation_is_left_out_where_there_is_none():
    from hpsearch.training.base import WithoutValidation

    factory = WithoutValidation(
        lambda t: [
            callbacks.EarlyStopping(),
            callbacks.ReduceLROnPlateau("loss"),
            callbacks.ModelCheckpoint("x.keras"),
            callbacks.LearningRateScheduler(lambda epoch: 0.1),
        ]
    )
    kinds = [type(each).__name__ for each in factory(None)]
    assert kinds == ["ReduceLROnPlateau", "ModelCheckpoint", "LearningRateScheduler"]
    assert factory.left_out == {"EarlyStopping": "val_loss"}


def test_what_checkpoints_do_already_is_left_out_and_said(caplog, tmp_path):
    for _ in range(2):
        probe(lambda trial: [callbacks.BackupAndRestore(tmp_path)])
    assert caplog.text.count("BackupAndRestore is left out") == 1


def test_what_a_callback_keeps_from_one_phase_to_the_next_is_kept_on():
    """In the next phase it begins with what the last one left, and need not change it again."""
    import keras

    class Watch(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.best, self.epochs = None, 0

    watch = Watch()
    from hpsearch.training.callback_state import CallbackStates

    first = CallbackStates([watch])
    first.begin(None)
    watch.best, watch.epochs = 0.1, 3
    kept = first.collect()
    second = CallbackStates([watch])
    assert second.begin(kept)
    watch.epochs = 4
    fresh = Watch()
    again = CallbackStates([fresh])
    assert again.begin(second.collect())
    assert (fresh.best, fresh.epochs) == (0.1, 4)
