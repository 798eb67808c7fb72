"""Training functions of a study's own: what they are given, what they must do, and continuing."""

import dataclasses
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from hpsearch import Choice, Data, Float, Holdout, Int, KFold, Space, Task
from hpsearch.core import interrupt
from hpsearch.core.errors import BuildError, TrialFailed
from hpsearch.core.trial import CheckpointInterval
from hpsearch.evaluators import TrainingFailed
from hpsearch.training.base import Fit
from hpsearch.training.own_trainer import OwnTrainer
from hpsearch.training.point_parameters import check_space
from tests.conftest import ROOT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=120)).astype("float32")
TASK = Task("line", Data(X, Y), loss="mse", metric="mae")
DATA = TASK.load()
(SPLIT,) = Holdout(rows=40).splits(TASK, DATA, seed=1)


def descend(run, rate=0.1):
    """Linear regression by minibatches of random rows: its random numbers are NumPy's."""
    x, y = run.train
    state = run.restore() or {"weights": np.zeros((x.shape[1], 1)), "steps": 0}
    weights, steps = state["weights"], state["steps"]

    def predict(rows):
        return rows @ weights

    for _ in run.epochs():
        for _ in range(3):
            some = np.random.permutation(len(x))[:20]
            weights = weights - rate * x[some].T @ (x[some] @ weights - y[some]) / 20
            steps += 1
        run.report(**run.measure(predict, train=True))
        run.save({"weights": weights, "steps": steps})
    return predict


def fit(train=descend, **changes):
    return dataclasses.replace(Fit(train, {"rate": 0.1}, SPLIT, 7, 4), **changes)


def train(one, task=TASK, data=DATA, **options):
    ((_, curve),) = OwnTrainer(task, **options).train([one], data)
    return curve


def probe(function, params=None, task=TASK, data=DATA, split=SPLIT, **options):
    return OwnTrainer(task, **options).probe(function, [params or {}], split, data)


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name].tobytes() for name in file.files}


def check_continuing(tmp_path, function, params=None, epochs=4, task=TASK, data=DATA, split=SPLIT):
    """That a fit in two parts, as two rungs have it, equals the one in whole, bit for bit."""
    paths = [tmp_path / f"{name}.npz" for name in ("whole", "half", "rest")]
    whole = Fit(function, params or {}, split, 7, epochs, checkpoint_out=paths[0])
    half = dataclasses.replace(whole, epochs=epochs // 2, checkpoint_out=paths[1])
    rest = dataclasses.replace(whole, checkpoint_in=paths[1], checkpoint_out=paths[2])
    curves = [train(one, task, data) for one in (whole, half, rest)]
    assert dataclasses.replace(curves[0], seconds=0) == dataclasses.replace(curves[2], seconds=0)
    assert curves[1].validation == curves[0].validation[: epochs // 2]
    assert arrays(paths[0]) == arrays(paths[2])
    return curves[0]


# -- what it reports


def test_the_curves_are_what_it_reports():
    curve = train(fit())
    assert curve.failure is None
    assert len(curve.validation) == 4
    assert curve.validation[-1] < 0.5 * curve.validation[0]
    assert all(map(math.isfinite, curve.train + curve.train_loss + curve.validation_loss))
    assert (curve.rows, curve.train_rows, curve.n_weights) == (40, 80, 3)


def test_what_is_not_reported_is_nan():
    def reports_some(run):
        for epoch in run.epochs():
            run.report(mae=1.0 - epoch / 10, **({"loss": 2.0} if epoch else {}))

    curve = train(fit(reports_some, params={}, epochs=2))
    assert curve.validation == (1.0, 0.9)
    assert math.isnan(curve.validation_loss[0])
    assert curve.validation_loss[1] == 2.0
    assert all(map(math.isnan, curve.train + curve.train_loss))


def test_every_recorded_metric_can_be_reported():
    def worst(true, predicted):
        return float(np.abs(true - predicted).max())

    task = Task("line", Data(X, Y), "mse", "mae", metrics=["r2", (worst, "min"), "loss"])
    curve = train(fit(), task, task.load())
    assert set(curve.metrics) == {"r2", "worst", "loss"}
    assert curve.metrics["loss"]["validation"] == curve.validation_loss
    assert curve.metrics["r2"]["train"][-1] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numbers", "classes", "one class", "labels", "logits"])
def test_measures_what_keras_does(kind):
    from hpsearch.training import backend

    backend.choose()
    import keras

    from spaces import mlp

    y = {
        "numbers": Y,
        "classes": np.digitize(Y, [-1, 1]),
        "one class": (Y > 0).astype("int64"),
        "labels": np.stack([Y > 0, X[:, 0] > 0], axis=1).astype("float32"),
        "logits": np.digitize(Y, [-1, 1]),
    }[kind]
    loss = {
        "numbers": "mse",
        "one class": "binary_crossentropy",
        "labels": "binary_crossentropy",
        "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }.get(kind, "sparse_categorical_crossentropy")
    metrics = {"numbers": ["rmse", "mae"], "labels": ["binary_accuracy", "f1_macro"]}.get(
        kind, ["accuracy", "f1_macro"]
    )
    task = Task(kind, Data(X, y), loss, metrics[0], metrics=metrics)
    found = []

    def measured(run):
        model = mlp.model((4,))(run.spec)
        for _ in run.epochs():
            found.append(run.measure(lambda x: model.predict(x, verbose=0)))
            x, true = run.validation
            model.compile(loss=task.loss, metrics=run.spec.metrics)
            found.append(model.evaluate(x, true, verbose=0, return_dict=True))
            run.report(**found[0])

    train(fit(measured, params={}, epochs=1), task, task.load())
    ours, keras_s = found
    assert set(ours) == {"loss", *metrics}
    for name in ours:
        if name in keras_s:
            assert ours[name] == pytest.approx(keras_s[name], rel=1e-4), name


# -- continuing


def test_continuing_equals_never_stopping(tmp_path):
    check_continuing(tmp_path, descend, {"rate": 0.1})


def test_files_of_its_folder_are_kept(tmp_path):
    def files(run):
        folder = run.restore()
        assert folder in (None, run.folder)
        if folder is None:
            assert list(run.folder.iterdir()) == []
        for epoch in run.epochs():
            (run.folder / "deep" / "er").mkdir(parents=True, exist_ok=True)
            log = run.folder / "deep" / "er" / "log.txt"
            log.write_text((log.read_text() if epoch else "") + f"{epoch} ")
            run.report(mae=1 / len(log.read_text()))
            run.save()

    curve = check_continuing(tmp_path, files)
    assert curve.validation == (1 / 2, 1 / 4, 1 / 6, 1 / 8)
    assert curve.n_weights == 0


def test_all_that_is_saved_is_restored(tmp_path):
    saved = {
        "array": np.arange(6, dtype="int16").reshape(2, 3),
        "by columns": np.asfortranarray(RNG.normal(size=(3, 2))),
        "empty": np.zeros((0, 3), np.float32),
        "float16": np.float16([1.5, np.nan]),
        "numbers": [1, 2.5, True, None, -math.inf, 2**70],
        "tuple": ("text", np.bool_([True, False])),
        "generator": np.random.default_rng(3).bit_generator.state,
    }

    def saves(run):
        state = run.restore() or saved
        for key, value in saved.items():
            np.testing.assert_equal(state[key], value)
            assert type(state[key]) is type(value)
        for name in ("array", "by columns", "empty", "float16"):
            assert state[name].dtype == saved[name].dtype
            assert state[name].flags.writeable
        for _ in run.epochs():
            run.report(mae=1.0)
            run.save(state)

    check_continuing(tmp_path, saves)


def test_what_numpy_has_no_type_for_is_restored(tmp_path):
    import ml_dtypes

    def saves(run):
        state = run.restore() or {"w": np.array([1.0, 3.0], ml_dtypes.bfloat16)}
        assert state["w"].dtype == ml_dtypes.bfloat16
        assert state["w"].tolist() == [1.0, 3.0]
        for _ in run.epochs():
            run.report(mae=1.0)
            run.save(state)

    check_continuing(tmp_path, saves)


def keras_loop(run, units=4):
    """Adam by Keras's own step on batches in a random order, with dropout; its state in one dict."""
    import keras

    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(units, "tanh")(inputs)
    hidden = keras.layers.BatchNormalization()(keras.layers.Dropout(0.3)(hidden))
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    noise = keras.random.SeedGenerator(run.seed)
    optimizer = keras.optimizers.Adam(0.05)
    model.compile(optimizer, "mse")
    scale = keras.Variable(1.0, trainable=False)
    state = run.restore({"model": model, "others": [noise, scale], "epochs": []})
    done = state["epochs"]
    x, y = run.train

    def predict(rows):
        return model.predict(rows, verbose=0)

    for epoch in run.epochs():
        for rows in np.array_split(np.random.permutation(len(x)), 4):
            jitter = keras.ops.convert_to_numpy(keras.random.normal((len(rows), 3), seed=noise))
            model.train_on_batch(x[rows] + 0.01 * jitter, y[rows])
        scale.assign(scale * 0.5)
        done = [*done, epoch]
        assert done == list(range(epoch + 1))
        assert float(scale) == 0.5 ** (epoch + 1)
        run.report(**run.measure(predict))
        run.save({"model": model, "others": [noise, scale], "epochs": done})
    return predict


@pytest.mark.slow
def test_keras_objects_are_filled(tmp_path):
    probe(keras_loop)
    curve = check_continuing(tmp_path, keras_loop)
    assert curve.validation[-1] < curve.validation[0]
    assert curve.n_weights == 3 * 4 + 4 + 4 * 4 + 4 + 1


@pytest.mark.slow
def test_a_model_alone_is_a_state(tmp_path):
    def one_model(run):
        import keras

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        assert run.restore(model) is model
        x, y = run.train
        for _ in run.epochs():
            model.train_on_batch(x, y)
            run.report(**run.measure(lambda rows: model.predict(rows, verbose=0)))
            run.save(model)

    check_continuing(tmp_path, one_model)


@pytest.mark.thorough
@pytest.mark.slow
def test_on_tensorflow_too(check_on_tensorflow):
    names = ("test_keras_objects_are_filled", "test_a_model_alone_is_a_state")
    check_on_tensorflow(*(f"{__file__}::{name}" for name in names))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, r"Keras objects \(model\), which are filled"),
        ("model", "got 'model'"),
        ({"model": 3}, "model was saved as a Keras object"),
        ({"other": 3}, "saved with the keys model, got other"),
        ("wider", "model has variables of shapes"),
    ],
)
def test_keras_objects_must_be_given_to_restore(given, says):
    import keras

    def forgets(run):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        wider = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        run.restore({"model": wider} if given == "wider" else given)
        for _ in run.epochs():
            run.report(mae=1.0)
            run.save({"model": model})

    with pytest.raises(BuildError, match=says):
        probe(forgets)


def test_a_function_that_restores_nothing_starts_anew(tmp_path):
    epochs = []

    def forgetful(run):
        for epoch in run.epochs():
            epochs.append(epoch)
            run.report(mae=1 / (1 + epoch))

    check_continuing_curves = fit(forgetful, params={}, checkpoint_out=tmp_path / "half.npz")
    train(dataclasses.replace(check_continuing_curves, epochs=2))
    assert not (tmp_path / "half.npz").exists()
    curve = train(
        fit(forgetful, params={}, epochs=4, checkpoint_in=tmp_path / "half.npz"),
    )
    assert epochs == [0, 1, 0, 1, 2, 3]
    assert curve.validation == (1, 1 / 2, 1 / 3, 1 / 4)


def test_an_interrupted_fit_goes_on_where_it_stopped(tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    never = train(fit(checkpoint_out=whole))
    answers = iter([False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(interrupt, "is_requested", lambda: next(answers))
        with pytest.raises(interrupt.Interrupted):
            train(fit(checkpoint_out=cut))
    assert len(json.loads(arrays(cut)["history"])["validation"]) == 3
    again = train(fit(checkpoint_out=cut))
    assert again.validation == never.validation
    assert arrays(whole) == arrays(cut)


def test_a_stop_cannot_be_caught(monkeypatch):
    def stubborn(run):
        try:
            for _ in run.epochs():
                run.report(mae=1.0)
        except Exception:
            return

    monkeypatch.setattr(interrupt, "is_requested", lambda: True)
    with pytest.raises(interrupt.Interrupted):
        train(fit(stubborn, params={}))


def test_a_stop_is_heeded_between_folds(monkeypatch, tmp_path):
    folds = [fit(epochs=1, seed=n, checkpoint_out=tmp_path / f"{n}.npz") for n in range(2)]
    monkeypatch.setattr(interrupt, "is_requested", lambda: True)
    with pytest.raises(interrupt.Interrupted):
        list(OwnTrainer(TASK).train(folds, DATA))
    assert [path.name for path in tmp_path.glob("*.npz")] == ["0.npz"]


def test_checkpoints_are_written_where_they_are_due(tmp_path):
    path, seen = tmp_path / "c.npz", []

    def looks(run):
        for epoch in run.epochs():
            seen.append(json.loads(arrays(path)["history"])["validation"] if epoch > 1 else [])
            run.report(mae=1.0)
            run.save({"epoch": epoch})

    train(fit(looks, params={}, checkpoint_out=path, checkpoint_every=CheckpointInterval(epochs=2)))
    assert [len(values) for values in seen] == [0, 0, 2, 2]


def test_patience_ends_the_loop_and_continues(tmp_path):
    def stands(run):
        state = run.restore() or {"best": 1.0}
        for _ in run.epochs():
            run.report(mae=state["best"])
            run.save(state)

    half, rest = tmp_path / "half.npz", tmp_path / "rest.npz"
    curve = train(fit(stands, params={}, epochs=5, patience=2, checkpoint_out=half))
    assert len(curve.validation) == 3
    more = fit(stands, params={}, epochs=9, patience=2, checkpoint_in=half, checkpoint_out=rest)
    assert train(more).validation == curve.validation
    assert arrays(rest) == arrays(half)  # for whoever continues it in turn


def test_a_function_may_say_that_more_epochs_change_nothing(tmp_path):
    calls = []

    def ends(run):
        calls.append(run.restore())
        for epoch in run.epochs():
            run.report(mae=1.0)
            run.save(lambda: {"saved": 1})
            if epoch == 1:
                run.end()

    half, rest = tmp_path / "half.npz", tmp_path / "rest.npz"
    curve = train(fit(ends, params={}, epochs=5, checkpoint_out=half))
    assert len(curve.validation) == 2
    more = fit(ends, params={}, epochs=9, checkpoint_in=half, checkpoint_out=rest)
    assert train(more).validation == curve.validation
    assert arrays(rest) == arrays(half)
    assert calls == [None]


@pytest.mark.parametrize("damage", ["cut", "other", "place", "dtype"])
def test_a_damaged_checkpoint_costs_epochs_only(tmp_path, damage):
    from hpsearch.training import checkpoint

    path = tmp_path / "c.npz"
    never = train(fit(checkpoint_out=path))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        with np.load(path) as file:
            found = {name: file[name] for name in file.files if name != "checksum"}
        index = json.loads(bytes(found["state"]))
        if damage == "place":
            index["files"] = {"../../evil.txt": "array_0"}
        elif damage == "dtype":
            index["state"]["dict"]["weights"]["array"][1] = "O"
        else:
            index["state"] = {"lambda": "x"}
        found["state"] = checkpoint.text_array(json.dumps(index))
        found["checksum"] = checkpoint.text_array(checkpoint.compute_checksum(found))
        np.savez(path, **found)
    again = train(fit(epochs=6, checkpoint_in=path))
    assert again.validation[:4] == never.validation
    assert not list(tmp_path.parent.rglob("evil.txt"))


@pytest.mark.parametrize("other", ["fold", "seed", "point", "folder"])
def test_a_checkpoint_of_another_fit_is_none(tmp_path, other):
    """As where checkpoints of folds were swapped: it would go on to another value."""
    one, path = fit(params={"rate": 0.1}), tmp_path / "c.npz"
    of_another = {
        "fold": {"split": dataclasses.replace(SPLIT, train=SPLIT.train[:-1])},
        "seed": {"seed": 8},
        "point": {"params": {"rate": 0.05}},
    }
    if other == "folder":
        path.mkdir()
    else:
        train(dataclasses.replace(one, **of_another[other], epochs=2, checkpoint_out=path))
    assert train(dataclasses.replace(one, checkpoint_in=path)).validation == train(one).validation


@pytest.mark.parametrize("thing", ["link", "object", "key", "function", "empty"])
def test_what_cannot_be_saved_is_refused(thing):
    def saves(run):
        for _ in run.epochs():
            run.report(mae=1.0)
            if thing == "link":
                (run.folder / "a").symlink_to("/etc/passwd")
            unsaved = {"object": object(), "function": print, "link": 1}.get(thing, 1)
            run.save({} if thing == "empty" else {3 if thing == "key" else "a": [unsaved]})

    with pytest.raises(BuildError, match=r"run\.(save|folder) "):
        probe(saves)


# -- mistakes


def reports_nothing(run):
    for _ in run.epochs():
        pass


def reports_no_metric(run):
    for _ in run.epochs():
        run.report(loss=1.0)


def reports_an_unknown_name(run):
    for _ in run.epochs():
        run.report(mse=1.0, mae=1.0, train_mea=1.0)


def reports_twice(run):
    for _ in run.epochs():
        run.report(mae=1.0)
        run.report(mae=1.0)


def reports_before(run):
    run.report(mae=1.0)


def reports_no_number(run):
    for _ in run.epochs():
        run.report(mae="0.5")


def reports_an_array(run):
    for _ in run.epochs():
        run.report(mae=np.zeros(3))


def returns_early(run):
    for _ in run.epochs():
        run.report(mae=1.0)
        return


def leaves_an_epoch_out(run):
    for _ in run.epochs():
        return


def never_loops(run):
    return


def goes_back(run):
    for _ in run.epochs():
        run.report(mae=1.0)
    for _ in run.epochs():
        run.report(mae=1.0)


def restores_late(run):
    for _ in run.epochs():
        run.restore()


def restores_twice(run):
    run.restore()
    run.restore()


def saves_before(run):
    run.save({"a": 1})


def saves_once(run):
    run.restore()
    for epoch in run.epochs():
        run.report(mae=1.0)
        if epoch == 0:
            run.save({"a": 1})


def returns_no_function(run):
    for _ in run.epochs():
        run.report(mae=1.0)
    return 3


def predicts_too_much(run):
    for _ in run.epochs():
        run.report(mae=1.0)
    return lambda rows: np.zeros((len(rows), 2))


def catches_its_mistake(run):
    for _ in run.epochs():
        try:
            run.report(accuracy=1.0)
        except ValueError:
            run.report(mae=1.0)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (reports_nothing, r"ended epoch 0 without run.report; report mae="),
        (reports_no_metric, r"got loss, and not mae=, by which trials are ranked"),
        (reports_an_unknown_name, r"unknown mse= .*it takes loss and the task's metrics \(mae\)"),
        (reports_twice, r"calls it twice in epoch 0"),
        (reports_before, r"calls it outside of the loop"),
        (reports_no_number, r"mae='0.5', which is no number"),
        (reports_an_array, r"which is no number"),
        (leaves_an_epoch_out, r"returned after 0 of 1 epochs"),
        (never_loops, r"returned without a loop"),
        (goes_back, r"loops over run.epochs\(\) twice"),
        (restores_late, r"calls it after that"),
        (restores_twice, r"calls it twice"),
        (saves_before, r"run.save is called within the loop"),
        (saves_once, r"saved in an epoch before, and not in epoch 1"),
        (returns_no_function, r"must return a function, rows -> predictions, got 3"),
        (predicts_too_much, r"shape \(40, 2\) for 40 rows, and this task has numbers of shape \(40, 1\)"),
        (catches_its_mistake, r"unknown accuracy="),
    ],
)  # fmt: skip
def test_mistakes_are_found_at_the_start(function, says):
    with pytest.raises(BuildError, match=says) as told:
        probe(function)
    assert "\n" not in str(told.value)


def test_too_few_epochs_are_refused():
    with pytest.raises(BuildError, match="returned after 1 of 4 epochs"):
        train(fit(returns_early, params={}))


def test_the_nearest_name_is_hinted_at():
    def misspells(run):
        for _ in run.epochs():
            run.report(mae=1.0, train_mea=1.0)

    with pytest.raises(BuildError, match="did you mean 'train_mae'"):
        probe(misspells)


@pytest.mark.parametrize("name", ["mae", "loss", "train_loss"])
def test_a_value_that_is_not_finite_fails_the_fit(name, tmp_path):
    def diverges(run):
        for epoch in run.epochs():
            values = {"mae": 1.0, "loss": 1.0, "train_loss": 1.0}
            run.report(**(values | ({name: math.nan} if epoch == 2 else {})))
            run.save({"epoch": epoch})
        raise ValueError("its numbers are NaN")

    curve = train(fit(diverges, params={}, checkpoint_out=tmp_path / "c.npz"))
    assert curve.failure.kind == "nan"
    assert curve.failure.message == f"{name} became nan in epoch 3"
    with pytest.raises(TrainingFailed, match=f"fold 0: {name} became nan in epoch 3"):
        KFold(2).evaluate(params={}, task=TASK, epochs=4, train=diverges)


def test_other_metrics_may_be_undefined():
    task = Task("line", Data(X, Y), "mse", "mae", metrics=["r2"])

    def undefined(run):
        for _ in run.epochs():
            run.report(mae=1.0, r2=math.nan)

    curve = train(fit(undefined, params={}), task, task.load())
    assert curve.failure is None
    assert all(map(math.isnan, curve.metrics["r2"]["validation"]))


def test_what_it_raises_passes_through():
    def fails(run):
        raise TrialFailed("too large")

    with pytest.raises(TrialFailed, match="too large"):
        probe(fails)


@pytest.mark.parametrize("reads", [True, False])
def test_weights_must_be_read(reads):
    data = Data(X, Y, sample_weight=np.arange(1.0, 121.0))
    task = Task("line", data, "mse", "mae", weighted_metrics=True)
    found = []

    def weighs(run):
        if reads:
            found.append(run.train_weights)
        for _ in run.epochs():
            run.report(**run.measure(lambda rows: np.zeros(len(rows))))

    if not reads:
        with pytest.raises(BuildError, match=r"train never reads run\.train_weights"):
            probe(weighs, task=task, data=task.load())
        return
    probe(weighs, task=task, data=task.load())
    curve = train(fit(weighs, params={}, epochs=1), task, task.load())
    assert (found[-1] == data.sample_weight[SPLIT.train]).all()
    held_out = SPLIT.validation
    expected = np.average(np.abs(Y[held_out]), weights=data.sample_weight[held_out])
    assert curve.validation[0] == pytest.approx(expected)


def test_a_searcher_that_compares_curves_needs_those_of_training_rows():
    with pytest.raises(BuildError, match=r"report loss= and train_loss="):
        probe(reports_twice, compares_curves=True)
    probe(descend, compares_curves=True)


def test_the_space_has_the_parameters_of_the_function():
    def function(run, units, rate=0.1):
        pass

    check_space(function, Space(units=Int(1, 2)), trains_itself=True)
    with pytest.raises(BuildError, match=r"does not take the parameter 'unit' .*'units'"):
        check_space(function, Space(unit=Int(1, 2), units=Int(1, 2)), trains_itself=True)
    with pytest.raises(BuildError, match="train needs the parameter 'units', which the space has"):
        check_space(function, Space(rate=Float(0, 1)), trains_itself=True)
    with pytest.raises(BuildError, match="does not take the parameter 'batch_size'"):
        check_space(function, Space(units=Int(1, 2), batch_size=Choice(8, 16)), trains_itself=True)
    with pytest.raises(BuildError, match="build needs the parameter 'units', which the space has"):
        check_space(function, Space(rate=Float(0, 1)))


# -- what it is given


def test_it_is_given_its_rows_and_its_fit():
    def looks(run):
        (x, y), (x_val, y_val) = run.train, run.validation
        assert (x == X[SPLIT.train]).all()
        assert (y[:, 0] == Y[SPLIT.train]).all()
        assert (x_val == X[SPLIT.validation]).all()
        assert (y_val[:, 0] == Y[SPLIT.validation]).all()
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 0
        assert (run.seed, run.fold, run.params) == (7, 3, {})
        assert (run.most_epochs, run.is_refit) == (8, False)
        assert run.task.outputs == 1
        assert (run.train_weights, run.validation_weights) == (None, None)
        for _ in run.epochs():
            run.report(mae=1.0)

    train(fit(looks, params={}, fold=3, most_epochs=8))


def test_a_fit_depends_on_its_seed_alone():
    """Not on what was trained before it, nor on the caller's generators."""
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    curves = dict(OwnTrainer(TASK).train([fit(), fit(seed=8), fit()], DATA))
    assert curves[0].validation == curves[2].validation != curves[1].validation
    assert (np.random.get_state()[1] == before).all()


def test_evaluates_without_a_study():
    score = KFold(3).evaluate(params={"rate": 0.2}, task=TASK, epochs=5, train=descend)
    assert score.value < 0.3
    with pytest.raises(BuildError, match="build= a function, or train= one, got both"):
        KFold(3).evaluate(descend, {}, TASK, epochs=1, train=descend)


def test_a_rare_class_is_among_the_rows_that_it_is_tried_on():
    y = np.zeros(1000, int)
    y[-2:] = 1
    task = Task("rare", Data(np.zeros((1000, 2)), y), "binary_crossentropy", "accuracy")
    data = task.load()
    seen = []

    def looks(run):
        seen.append({len(run.train[1]), *run.train[1].ravel().tolist()})
        for _ in run.epochs():
            run.report(accuracy=1.0)

    (split,) = Holdout(rows=500).splits(task, data, seed=0)
    probe(looks, task=task, data=data, split=split)
    assert seen[0] >= {0, 1}
    assert max(seen[0]) < 300


def test_it_is_tried_on_all_rows_where_few_are_too_few():
    x = np.arange(2000.0).reshape(1000, 2)
    task = Task("many", Data(x, x[:, 0]), "mse", "mae")
    data, seen = task.load(), []

    def needs_many(run):
        seen.append(len(run.train[0]))
        if seen[-1] < 300:
            raise ValueError("too few rows")
        for _ in run.epochs():
            run.report(mae=1.0)

    (split,) = Holdout(rows=500).splits(task, data, seed=0)
    probe(needs_many, task=task, data=data, split=split)
    assert seen == [256, 500, 500]


@pytest.mark.slow
def test_a_function_without_keras_trains_without_it():
    code = (
        "import sys, numpy as np; from tests.training.test_own import *;"
        "KFold(3).evaluate(params={'rate': 0.2}, task=TASK, epochs=2, train=descend);"
        "probe(descend);"
        "assert not {'keras', 'jax', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), check=True)
