"""What a trial may learn: each feature trains as plain Keras does, by every engine and backend."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn import metrics as of_sklearn

from hpsearch import Choice, Data, Holdout, KFold, Random, Space, Study, Task
from hpsearch.core.arrays import take_rows
from hpsearch.core.errors import BuildError
from hpsearch.core.seeds import derive_seed
from hpsearch.core.trial import Facts
from hpsearch.runs.identity import find_changes, make_search_record
from hpsearch.tasks import digits
from hpsearch.training import backend
from hpsearch.training.base import Fit, Split
from hpsearch.training.building import build_model
from hpsearch.training.metrics import make_metrics
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.rows import draw_row_order, make_model_spec, prepare_rows
from spaces import mlp
from tests.contracts.trainer import arrays, same
from tests.training.test_training import TRAINERS

pytestmark = pytest.mark.slow

EPOCHS = 5
RNG = np.random.default_rng(3)
X = RNG.normal(size=(205, 6)).astype("float32")
LATENT = X @ RNG.normal(size=(6, 4)).astype("float32")
CLASSES = LATENT[:, :3].argmax(axis=1)
NUMBERS = LATENT[:, 0] + 0.1 * RNG.normal(size=205).astype("float32")
LABELS = (LATENT[:, :3] > 0).astype("float32")
WEIGHTS = RNG.random(205).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[CLASSES]

SPARSE = {"loss": "sparse_categorical_crossentropy", "metric": "accuracy"}


def clipped(y_true, y_pred):
    """A loss of one's own, row by row."""
    return keras.ops.mean(keras.ops.minimum(keras.ops.square(y_true - y_pred), 4.0), axis=-1)


class Pinball(keras.losses.Loss):
    def __init__(self, share=0.7, **options):
        super().__init__(**options)
        self.share = share

    def call(self, y_true, y_pred):
        apart = y_true - y_pred
        return keras.ops.mean(
            keras.ops.maximum(self.share * apart, (self.share - 1) * apart), axis=-1
        )


def share_of_best_class(y_true, y_pred):
    """A metric of one's own."""
    return float((y_pred.argmax(axis=1) == y_true).mean())


SMALL = mlp.model(hidden=(8,))


@dataclasses.dataclass
class Feature:
    """Something that a task may have.

    Args:
        build, params: of the model.
        options: of the Task.
        y: the targets.
        data: more options of the Data.
        plain: what the plain loop gives to `model.fit` beside the rows, from their numbers.
        batch_size: 31 divides the training rows, so that no minibatch must be filled up, as losses
            of one's own do not allow.
    """

    options: dict[str, Any]
    y: Any
    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    plain: Callable[[Any], dict[str, Any]] = lambda rows: {}
    batch_size: int = 32
    build: Any = SMALL
    params: dict[str, Any] = dataclasses.field(default_factory=lambda: {"optimizer": "adam"})

    @property
    def task(self) -> Task:
        return Task("t", Data(X, self.y, **self.data), **self.options)


BY_CLASS = {0: 1.0, 1: 5.0, 2: 0.5}
BALANCED = {n: 205 / 3 / (CLASSES == n).sum() for n in range(3)}
FEATURES = {
    "sample_weight": Feature(
        SPARSE, CLASSES, {"sample_weight": WEIGHTS}, lambda rows: {"sample_weight": WEIGHTS[rows]}
    ),
    "class_weight": Feature(
        SPARSE | {"class_weight": BY_CLASS}, CLASSES, {}, lambda rows: {"class_weight": BY_CLASS}
    ),
    "class_weight, one-hot": Feature(
        {"loss": "categorical_crossentropy", "metric": "accuracy", "class_weight": BY_CLASS},
        ONE_HOT,
        {},
        lambda rows: {"class_weight": BY_CLASS},
    ),
    "class_weight, binary": Feature(
        {"loss": "binary_crossentropy", "metric": "accuracy", "class_weight": {0: 1, 1: 3}},
        (CLASSES == 1).astype("float32"),
        {},
        lambda rows: {"class_weight": {0: 1.0, 1: 3.0}},
    ),
    "class_weight, balanced": Feature(
        SPARSE | {"class_weight": "balanced"}, CLASSES, {}, lambda rows: {"class_weight": BALANCED}
    ),
    "both weights": Feature(
        SPARSE | {"class_weight": BY_CLASS},
        CLASSES,
        {"sample_weight": WEIGHTS},
        lambda rows: {
            "sample_weight": WEIGHTS[rows] * np.array([BY_CLASS[n] for n in CLASSES[rows]])
        },
    ),
    "several metrics": Feature(
        SPARSE | {"metrics": ["f1_macro", "roc_auc", "sparse_categorical_accuracy"]}, CLASSES
    ),
    "a metric of one's own": Feature(SPARSE | {"metrics": [(share_of_best_class, "max")]}, CLASSES),
    "a loss of one's own": Feature(
        {"loss": clipped, "kind": "regression", "metric": "mae"}, NUMBERS, batch_size=31
    ),
    "a Loss of one's own": Feature(
        {"loss": Pinball(0.8), "kind": "regression", "metric": "loss"}, NUMBERS, batch_size=31
    ),
    "a loss of one's own, weighted": Feature(
        {"loss": Pinball(0.8), "kind": "regression", "metric": "mae"},
        NUMBERS,
        {"sample_weight": WEIGHTS},
        lambda rows: {"sample_weight": WEIGHTS[rows]},
        batch_size=31,
    ),
    "regression": Feature({"loss": "mse", "metric": "mae", "metrics": ["r2", "rmse"]}, NUMBERS),
    "several labels": Feature(
        {"loss": "binary_crossentropy", "metric": "binary_accuracy", "metrics": ["f1_samples"]},
        LABELS,
    ),
}


TAGS = (X[:, :5] > 0).astype("int64") + (X[:, :5] > 1)
MASK = np.arange(5) < RNG.integers(2, 6, size=205)[:, None]


def tagger(spec, units, learning_rate):
    """A class for each of 5 steps."""
    inputs = keras.Input(spec.input_shape)
    steps = keras.layers.Reshape((-1, 1))(inputs[:, :5])
    hidden = keras.layers.Dense(units, activation="relu")(steps)
    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), loss=spec.loss, metrics=spec.metrics)
    return model


def compile_outputs(model, spec, learning_rate):
    model.compile(
        keras.optimizers.Adam(learning_rate),
        loss=spec.loss,
        metrics=spec.metrics,
        loss_weights=spec.loss_weights,
    )
    return model


def tagger_with_size(spec, units, learning_rate):
    """A class for each of 5 steps, and a number."""
    inputs = keras.Input(spec.input_shape)
    hidden = keras.layers.Dense(5 * units, activation="relu")(inputs)
    steps = keras.layers.Reshape((5, units))(hidden)
    outputs = {
        "tags": keras.layers.Dense(spec.outputs["tags"], spec.activation["tags"])(steps),
        "size": keras.layers.Dense(spec.outputs["size"], spec.activation["size"])(hidden),
    }
    return compile_outputs(keras.Model(inputs, outputs), spec, learning_rate)


def two_headed(spec, units, learning_rate):
    """A model with an output for each of the task's."""
    inputs = keras.Input(spec.input_shape)
    hidden = keras.layers.Dense(units, activation="relu")(inputs)
    outputs = {
        name: keras.layers.Dense(spec.outputs[name], spec.activation[name], name=name)(hidden)
        for name in spec.outputs
    }
    return compile_outputs(keras.Model(inputs, outputs), spec, learning_rate)


TWO = {
    "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
    "loss_weights": {"size": 0.3},
}
BOTH = {"kind": CLASSES, "size": NUMBERS}
FEATURES |= {
    "sequences": Feature(
        SPARSE | {"metrics": ["f1_macro"]}, TAGS, build=tagger, params={"units": 8}, batch_size=31
    ),
    "one-hot sequences, masked": Feature(
        {"loss": "categorical_crossentropy", "metric": "accuracy", "weighted_metrics": True},
        np.eye(3, dtype="float32")[TAGS],
        {"sample_weight": MASK},
        lambda rows: {"sample_weight": MASK[rows].astype("float32")},
        batch_size=31,
        build=tagger,
        params={"units": 8},
    ),
    "sequences, rows weighted": Feature(
        SPARSE,
        TAGS,
        {"sample_weight": WEIGHTS},
        lambda rows: {"sample_weight": np.repeat(WEIGHTS[rows][:, None], 5, axis=1)},
        batch_size=31,
        build=tagger,
        params={"units": 8},
    ),
    "a sequence and a number, weighted": Feature(
        {"loss": {"tags": SPARSE["loss"], "size": "mse"}, "metric": "tags/accuracy"},
        {"tags": TAGS, "size": NUMBERS},
        {"sample_weight": WEIGHTS},
        lambda rows: {
            "sample_weight": {
                "tags": np.repeat(WEIGHTS[rows][:, None], 5, axis=1),
                "size": WEIGHTS[rows],
            }
        },
        build=tagger_with_size,
        params={"units": 8},
    ),
    "two outputs": Feature(
        TWO | {"metric": "loss", "metrics": ["kind/accuracy", "size/mae"]},
        BOTH,
        build=two_headed,
        params={"units": 8},
    ),
    "two outputs, weighted": Feature(
        TWO | {"metric": "size/mae", "metrics": ["kind/f1_macro", "size/r2"]},
        BOTH,
        {"sample_weight": WEIGHTS},
        lambda rows: {"sample_weight": WEIGHTS[rows]},
        build=two_headed,
        params={"units": 8},
    ),
}


def feature_fit(feature, **changes):
    (split,) = Holdout(rows=50).splits(feature.task, feature.task.load(), seed=1)
    params = {"learning_rate": 0.01, "batch_size": feature.batch_size, **feature.params}
    changes = {"epochs": EPOCHS, **changes}
    return Fit(feature.build, params, split, seed=5, **changes)


def train_plainly(feature, fit, *, predict=False):
    """What Keras alone logs in each epoch, with predictions for the rows if wanted."""
    task, data = feature.task, feature.task.load()
    rows = prepare_rows(task, data, fit.split)
    spec = make_model_spec(task, rows, data.y, make_metrics(task), fit)
    model = build_model(fit.build, spec, fit.params, fit.seed)
    logs = []
    for epoch in range(fit.epochs):
        order = draw_row_order(fit, epoch)
        told = model.fit(
            rows.x[order],
            take_rows(rows.y, order),
            batch_size=batch_size(fit.params),
            shuffle=False,
            epochs=epoch + 1,
            initial_epoch=epoch,
            validation_data=(rows.x_validation, rows.y_validation),
            verbose=0,
            **feature.plain(fit.split.train[order]),
        )
        logs.append({name: values[-1] for name, values in told.history.items()})
        if predict:
            rows_of_both = rows.x, rows.x_validation
            logs[-1]["predicted"] = [model.predict(x, verbose=0) for x in rows_of_both]
    return logs, rows


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", FEATURES)
def test_it_trains_as_plain_keras_does(make, name, tmp_path):
    feature = FEATURES[name]
    fit = feature_fit(feature)
    plain, _ = train_plainly(feature, fit)
    curve = dict(make(feature.task).train([fit], feature.task.load()))[0]
    assert curve.train_loss == pytest.approx([each["loss"] for each in plain], abs=1e-4)
    assert curve.validation_loss == pytest.approx([each["val_loss"] for each in plain], abs=1e-4)


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", FEATURES)
def test_continuing_equals_never_stopping(make, name, tmp_path):
    """Bit for bit: weights, optimizer, and every recorded curve."""
    feature = FEATURES[name]
    trainer, data = make(feature.task), feature.task.load()
    paths = [tmp_path / f"{name}.npz" for name in ("whole", "half", "continued")]
    fits = [
        feature_fit(feature, checkpoint_out=paths[0]),
        feature_fit(feature, epochs=2, checkpoint_out=paths[1]),
        feature_fit(feature, checkpoint_in=paths[1], checkpoint_out=paths[2]),
    ]
    whole, _, continued = (dict(trainer.train([fit], data))[0] for fit in fits)
    assert continued.metrics == whole.metrics
    assert same(arrays(paths[0]), arrays(paths[2]))


SCORED = {
    "f1_macro": lambda y, p: of_sklearn.f1_score(y, p.argmax(1), average="macro"),
    "balanced_accuracy": lambda y, p: of_sklearn.balanced_accuracy_score(y, p.argmax(1)),
    "neg_log_loss": lambda y, p: -of_sklearn.log_loss(y, p / p.astype("float64").sum(1)[:, None]),
    "average_precision": lambda y, p: of_sklearn.average_precision_score(np.eye(3)[y], p),
    "share_of_best_class": share_of_best_class,
}


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
def test_scores_are_those_of_scikit_learn_in_every_epoch(make):
    names = [name for name in SCORED if name != "share_of_best_class"]
    feature = Feature(
        SPARSE | {"metric": names[0], "metrics": [*names[1:], (share_of_best_class, "max")]},
        CLASSES,
    )
    fit = feature_fit(feature)
    plain, rows = train_plainly(feature, fit, predict=True)
    curve = dict(make(feature.task).train([fit], feature.task.load()))[0]
    found = {names[0]: {"train": curve.train, "validation": curve.validation}, **curve.metrics}
    for name, score in SCORED.items():
        for part, y, at in (("train", rows.y, 0), ("validation", rows.y_validation, 1)):
            expected = [score(y.reshape(-1), each["predicted"][at]) for each in plain]
            assert found[name][part] == pytest.approx(expected, abs=1e-4), (name, part)


def recall_of_eight(y_true, y_pred):
    return float((y_pred.argmax(axis=1) == 8)[y_true == 8].mean())


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
def test_class_weight_raises_the_recall_of_a_rare_class(make):
    """Of digits, with eights cut to 3 % of the rows."""
    whole = digits.task().load()
    eights = np.flatnonzero(whole.y == 8)
    others = np.flatnonzero(whole.y != 8)
    kept = np.sort(np.concatenate([others, eights[: int(0.03 / 0.97 * len(others))]]))
    data = Data(whole.x[kept], whole.y[kept])
    found = []
    for class_weight in (None, {**dict.fromkeys(range(10), 1.0), 8: 10.0}):
        options = SPARSE | {"metrics": [(recall_of_eight, "max")], "class_weight": class_weight}
        task = Task("rare", data, **options)
        splits = KFold(3).splits(task, data, seed=0)
        params = {"optimizer": "adam", "batch_size": 32}
        fits = [Fit(mlp.model(hidden=(16,)), params, split, 3, 4) for split in splits]
        curves = dict(make(task).train(fits, data))
        ends = [curve.metrics["recall_of_eight"]["validation"][-1] for curve in curves.values()]
        found.append(np.mean(ends))
    without, weighted = found
    assert weighted > without + 0.1


def test_sample_weight_through_kfold_and_scikit_learn_equals_a_manual_loop():
    from hpsearch import KerasSearchCV

    space = Space(optimizer=Choice("adam"), learning_rate=Choice(0.01))
    search = KerasSearchCV(
        mlp.model(hidden=(8,)),
        space,
        Random(trials=1, epochs=EPOCHS),
        cv=KFold(3, stratify=False),
        metric="loss",
        random_state=4,
        refit=False,
    ).fit(X, CLASSES, sample_weight=WEIGHTS)
    feature = Feature(SPARSE | {"metric": "loss"}, CLASSES, FEATURES["sample_weight"].data)
    feature.plain = FEATURES["sample_weight"].plain
    splits = KFold(3, stratify=False).splits(
        feature.task, feature.task.load(), seed=derive_seed(4, "splits")
    )
    fits = KFold(3, stratify=False).plan_fits(
        splits, search.build, search.best_params_, epochs=EPOCHS, seed=4
    )
    curves = [[each["val_task_loss"] for each in train_plainly(feature, fit)[0]] for fit in fits]
    best = np.mean(curves, axis=0).argmin()
    assert search.best_epoch_ == best + 1
    expected = [-curve[best] for curve in curves]
    found = [search.cv_results_[f"split{fold}_test_score"][0] for fold in range(3)]
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.skipif(backend.name() == "tensorflow", reason="runs there")
@pytest.mark.parametrize(
    "names",
    [
        [
            "both weights",
            "a Loss of one's own",
            "one-hot sequences, masked",
            "two outputs, weighted",
        ],
        pytest.param([name for name in FEATURES], marks=pytest.mark.thorough),
    ],
    ids=["some", "all"],
)
def test_it_holds_on_tensorflow_too(names, check_on_tensorflow):
    test = f"{__file__}::test_it_trains_as_plain_keras_does"
    again = f"{__file__}::test_continuing_equals_never_stopping[two outputs, weighted-fit_trainer]"
    check_on_tensorflow(*(f"{test}[{name}-fit_trainer]" for name in names), again)


def renamed(spec, units, learning_rate):
    inputs = keras.Input(spec.input_shape)
    outputs = {"kind": keras.layers.Dense(3)(inputs), "length": keras.layers.Dense(1)(inputs)}
    model = keras.Model(inputs, outputs)
    model.compile("adam", loss={"kind": "mse", "length": "mse"})
    return model


def unweighted(spec, units, learning_rate):
    model = two_headed(spec, units, learning_rate)
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


@pytest.mark.parametrize(
    ("build", "wrong"),
    [
        (renamed, "outputs kind, size, and the model kind, length"),
        (unweighted, "other loss_weights"),
    ],
)
def test_a_model_of_other_outputs_is_refused_at_the_start(build, wrong):
    feature = FEATURES["two outputs"]
    fit = feature_fit(feature)
    trainer = TRAINERS[0](feature.task)
    with pytest.raises(BuildError, match=wrong):
        trainer.probe(build, [fit.params], fit.split, feature.task.load())


def test_a_change_of_weights_is_a_change_of_the_study(tmp_path):
    """A search goes on only as it began; another metric to record is no such change."""
    file = tmp_path / "study.py"
    file.write_text("")

    def record(**options):
        task = Task("t", Data(X, CLASSES), **SPARSE | options)
        study = Study(
            task=task,
            space=Space(optimizer=Choice("adam")),
            build=SMALL,
            searcher=Random(trials=1, epochs=1),
        )
        return make_search_record(study, file, Facts("d", "", "jax", {}))

    assert not find_changes(record(), record(metrics=["f1_macro"]))
    (change,) = find_changes(record(class_weight=BY_CLASS), record())
    assert "class_weight" in change
    changes = find_changes(
        record(class_weight=BY_CLASS, weighted_metrics=True), record(class_weight=BY_CLASS)
    )
    assert changes == ["metric was accuracy, now accuracy, weighted"]


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("change", ["state of a loss", "loss_weights", "loss of the task alone"])
def test_a_task_is_not_trained_as_an_earlier_one(make, change):
    """In one process, as in a notebook, where compiled programs are kept."""
    found = []
    for factor in (1.0, 100.0):
        if change == "loss_weights":
            options = TWO | {"metric": "loss", "loss_weights": {"size": factor}}
            feature = Feature(options, BOTH, build=two_headed, params={"units": 8})
        elif change == "state of a loss":
            options = {"loss": Pinball(factor), "kind": "regression", "metric": "loss"}
            feature = Feature(options, NUMBERS, batch_size=31)
        else:
            loss = "mse" if factor == 1 else "mae"
            feature = Feature(
                {"loss": loss, "metric": "loss"}, NUMBERS, params={"units": 8}, build=squared
            )
        fit = feature_fit(feature)
        plain, _ = train_plainly(feature, fit)
        curve = dict(make(feature.task).train([fit], feature.task.load()))[0]
        assert curve.train_loss == pytest.approx([each["loss"] for each in plain], rel=1e-4)
        found.append(curve.validation[-1])
    assert abs(found[0] - found[1]) > 1e-3


def squared(spec, units, learning_rate):
    """Trains by a loss of its own, whatever the task's is."""
    model = keras.Sequential([keras.Input(spec.input_shape), keras.layers.Dense(units)])
    model.add(keras.layers.Dense(spec.outputs))
    model.compile("adam", loss="mse", metrics=spec.metrics)
    return model


def centred(y_true, y_pred):
    """Changes what it gets, as careless functions do."""
    y_true -= y_true.mean()
    y_pred -= y_pred.mean()
    return float((y_true * y_pred).mean())


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
def test_a_metric_that_changes_its_arguments_changes_nothing_else(make):
    y = NUMBERS + 5
    curves = []
    for metrics in ([(centred, "max"), "r2"], ["r2"]):
        feature = Feature({"loss": "mse", "metric": "mae", "metrics": metrics}, y.copy())
        task = feature.task
        curves.append(dict(make(task).train([feature_fit(feature)], task.load()))[0])
        assert (feature.y == y).all()
    assert curves[0].validation == curves[1].validation
    assert curves[0].metrics["r2"] == curves[1].metrics["r2"]


@pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)
def test_a_weighted_metric_of_rows_that_weigh_nothing_is_no_value(make):
    weights = np.ones(205)
    weights[-50:] = 0
    options = {"loss": "mse", "metric": "mae", "weighted_metrics": True}
    feature = Feature(options, NUMBERS, {"sample_weight": weights})
    split = Split(np.arange(155), np.arange(155, 205))
    fit = dataclasses.replace(feature_fit(feature), split=split)
    curve = dict(make(feature.task).train([fit], feature.task.load()))[0]
    assert curve.failure.kind == "nan"


def masking(spec, units, learning_rate):
    inputs = keras.Input(spec.input_shape)
    steps = keras.layers.Embedding(3, units, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(steps))
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


def test_a_model_that_masks_steps_is_refused_at_the_start():
    task = Task("t", Data(TAGS, TAGS), **SPARSE)
    (split,) = Holdout(rows=50).splits(task, task.load(), seed=1)
    with pytest.raises(BuildError, match="the model masks steps"):
        TRAINERS[0](task).probe(masking, [{"units": 4, "learning_rate": 0.1}], split, task.load())


def masking_with_size(spec, units, learning_rate):
    inputs = keras.Input(spec.input_shape)
    steps = keras.layers.Embedding(3, units, mask_zero=True)(inputs)
    outputs = {
        "tags": keras.layers.Dense(spec.outputs["tags"], spec.activation["tags"])(steps),
        "size": keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(steps)),
    }
    return compile_outputs(keras.Model(inputs, outputs), spec, learning_rate)


def test_a_masked_output_is_found_in_whatever_order_outputs_are_named():
    y = {"size": NUMBERS, "tags": TAGS}
    task = Task("t", Data(TAGS, y), {"tags": SPARSE["loss"], "size": "mse"}, "tags/accuracy")
    (split,) = Holdout(rows=50).splits(task, task.load(), seed=1)
    points = [{"units": 4, "learning_rate": 0.1}]
    with pytest.raises(BuildError, match="the model masks steps"):
        TRAINERS[0](task).probe(masking_with_size, points, split, task.load())
