"""A task's kind: derived or asked for, and what follows from it."""

import json

import numpy as np
import pytest

from hpsearch import Data, Holdout, Int, KFold, Space, Study, Task
from hpsearch.core.errors import DataError
from hpsearch.core.task_kinds import kind_to_store
from hpsearch.core.trial import Facts
from hpsearch.runs.identity import find_changes, make_search_record
from hpsearch.selection.predictions import check_test

ROWS = np.random.default_rng(0).random((12, 3))
NUMBERS = ROWS.sum(axis=1)
BINARY = np.arange(12) % 2
THREE = np.arange(12) % 3
ONE_HOT = np.eye(3)[THREE]
LABELS = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0]])[THREE]


def task(loss, y, **options):
    return Task("t", Data(ROWS, y), loss, **options)


def own_loss(true, predicted):
    return (true - predicted) ** 2


@pytest.mark.parametrize(
    ("loss", "y", "kind", "activation", "outputs"),
    [
        ("mse", NUMBERS, "regression", "linear", 1),
        ("poisson", np.column_stack([NUMBERS, NUMBERS]), "regression", "linear", 2),
        ("binary_crossentropy", BINARY, "binary", "sigmoid", 1),
        ("bce", BINARY[:, None], "binary", "sigmoid", 1),
        ("BinaryFocalCrossentropy", LABELS, "multilabel", "sigmoid", 3),
        ("binary_crossentropy", ONE_HOT, "multiclass", "sigmoid", 3),
        ("sparse_categorical_crossentropy", THREE, "multiclass", "softmax", 3),
        ("categorical_crossentropy", ONE_HOT, "multiclass", "softmax", 3),
        ("categorical_focal_crossentropy", ONE_HOT, "multiclass", "softmax", 3),
        ("categorical_hinge", ONE_HOT, "multiclass", "softmax", 3),
    ],
)
def test_most_losses_tell_the_kind(loss, y, kind, activation, outputs):
    found = task(loss, y)
    data = found.load()
    assert found.kind_of(y) == kind
    assert (found.activation, found.output_units(y)) == (activation, outputs)
    assert found.classifies == (kind != "regression")
    assert (found.classes(data) is None) == (kind == "regression")
    assert task(loss, y, kind=kind).activation == activation


@pytest.mark.parametrize("loss", [own_loss, "kl_divergence", "hinge", "dice", "mean_sq"])
def test_other_losses_are_asked_for_it(loss):
    with pytest.raises(
        DataError, match=r"does not decide the kind of the task; give it by Task\(..., kind="
    ):
        task(loss, BINARY)


@pytest.mark.parametrize(
    ("kind", "y", "activation", "outputs"),
    [
        ("binary", BINARY, "sigmoid", 1),
        ("multiclass", THREE, "softmax", 3),
        ("multiclass", ONE_HOT, "softmax", 3),
        ("multilabel", LABELS, "sigmoid", 3),
        ("regression", NUMBERS, "linear", 1),
    ],
)
@pytest.mark.parametrize("evaluator", [Holdout(rows=6), KFold(2)])
def test_with_a_loss_of_ones_own_everything_follows_from_the_kind(
    kind, y, activation, outputs, evaluator
):
    found = task(own_loss, y, kind=kind)
    data = found.load()
    assert (found.activation, found.output_units(y)) == (activation, outputs)
    (split, *_) = evaluator.splits(found, data, seed=0)
    if kind == "regression":
        assert found.classes(data) is None
    else:
        validated = y[split.validation]
        shares = np.unique(validated, axis=0, return_counts=True)[1]
        assert set(shares) == {6 // len(np.unique(y, axis=0))}


@pytest.mark.parametrize(
    ("loss", "y", "options", "message"),
    [
        ("mse", NUMBERS, {"kind": "numbers"}, "kind is one of binary, multiclass"),
        ("binary_crossentropy", BINARY, {"kind": "regression"}, "does not go with loss"),
        ("sparse_categorical_crossentropy", THREE, {"kind": "binary"}, "does not go with"),
        (
            "mse",
            NUMBERS,
            {"metric": "accuracy"},
            "metric 'accuracy' is for classes, and loss 'mse'",
        ),
        ("mse", NUMBERS, {"kind": "regression", "metric": "roc_auc"}, "metric 'roc_auc' is for"),
        ("mse", NUMBERS, {"kind": "binary"}, "a binary task needs targets from 0 to 1"),
        ("mse", ONE_HOT, {"kind": "binary"}, r"needs y of shape \(rows,\)"),
        ("mse", BINARY, {"kind": "multilabel"}, r"needs y of shape \(rows, labels\)"),
        ("mse", THREE, {"kind": "multiclass"}, r"mse needs y of shape \(rows, classes\)"),
        (own_loss, NUMBERS, {"kind": "multiclass"}, "classes numbered 0, 1, 2"),
        (own_loss, LABELS, {"kind": "multiclass"}, "each row of y adds up to 1"),
        ("categorical_crossentropy", BINARY, {}, r"needs y of shape \(rows, classes\)"),
        ("categorical_crossentropy", LABELS, {}, "each row of y adds up to 1"),
        ("sparse_categorical_crossentropy", BINARY * 0, {}, "2 classes or more"),
        ("sparse_categorical_crossentropy", BINARY * 10**9, {}, "without large gaps"),
        ("sparse_categorical_crossentropy", THREE, {"outputs": 2}, "outputs=2 does not go with"),
        ("mse", NUMBERS, {"outputs": 3}, "outputs=3 does not go with y"),
        ("binary_crossentropy", LABELS, {"metric": "accuracy"}, "use binary_accuracy"),
        ("binary_crossentropy", BINARY * 0.5, {"metric": "accuracy"}, "needs y of 0 and 1"),
    ],
)
def test_what_contradicts_itself_is_refused(loss, y, options, message):
    with pytest.raises(DataError, match=message) as error:
        task(loss, y, **options).load()
    assert "\n" not in str(error.value)


SEQUENCES = np.tile(THREE[:, None], (1, 4))


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("sparse_categorical_crossentropy", SEQUENCES),
        ("categorical_crossentropy", np.eye(3)[SEQUENCES]),
        ("binary_crossentropy", np.eye(3)[SEQUENCES]),
    ],
)
def test_sequences_have_a_class_a_step(loss, y):
    made = task(loss, y, metric="accuracy" if loss != "binary_crossentropy" else "loss")
    data = made.load()
    assert made.is_sequence(data.y)
    assert made.output_units(data.y) == 3
    assert made.classes(data) is None  # no folds are stratified by them


@pytest.mark.parametrize(
    ("loss", "y", "wrong"),
    [
        ("sparse_categorical_crossentropy", SEQUENCES[..., None], r"\(rows,\) or \(rows, steps\)"),
        ("categorical_crossentropy", np.eye(3)[SEQUENCES][:, None], r"\(rows, steps, classes\)"),
        ("binary_crossentropy", np.ones((12, 4, 2)), r"\(rows,\) or \(rows, labels\)"),
        ("sparse_categorical_crossentropy", np.eye(3)[THREE], "looks one-hot"),
    ],
)
def test_targets_of_other_shapes_are_refused(loss, y, wrong):
    with pytest.raises(DataError, match=wrong):
        task(loss, y, metric="loss").load()


def test_class_weight_is_not_for_a_class_a_step():
    with pytest.raises(DataError, match="has one a step"):
        task("sparse_categorical_crossentropy", SEQUENCES, class_weight="balanced").load()


@pytest.mark.parametrize("loss", ["mse", "mean_absolute_error", "huber"])
@pytest.mark.parametrize("metric", ["mae", "mse", "rmse", "loss"])
def test_images_as_targets_are_of_a_regression(loss, metric):
    images = np.zeros((12, 4, 5, 1))
    found = task(loss, images, metric=metric)
    assert found.kind_of(found.load().y) == "regression"
    assert (found.activation, found.output_units(images)) == ("linear", 4)
    task(loss, images, metric=metric, outputs=20).load()  # `build` may read it as it likes
    with pytest.raises(DataError, match=r"needs y of shape \(rows,\) or \(rows, outputs\), got"):
        task(loss, images, metric="r2_score").load()


def test_classes_may_have_gaps_where_outputs_says_how_many_there_are():
    few_of_many = THREE * 9_000
    with pytest.raises(DataError, match="without large gaps, or outputs="):
        task("sparse_categorical_crossentropy", few_of_many).load()
    found = task("sparse_categorical_crossentropy", few_of_many, outputs=20_000)
    assert found.output_units(found.load().y) == 20_000
    with pytest.raises(DataError, match="outputs=18000 does not go with"):
        task("sparse_categorical_crossentropy", few_of_many, outputs=18_000).load()


@pytest.mark.parametrize("metric", ["precision", "recall", "auc", "mae", "categorical_accuracy"])
def test_metrics_that_cannot_read_numbered_classes_are_refused(metric):
    with pytest.raises(DataError, match="supported are accuracy, roc_auc, loss, and"):
        task("sparse_categorical_crossentropy", THREE, metric=metric, direction="max").load()
    task("categorical_crossentropy", ONE_HOT, metric=metric, direction="max").load()


@pytest.mark.parametrize("y", [BINARY, LABELS, ONE_HOT])
def test_f1_score_is_refused_which_gives_a_number_a_class(y):
    with pytest.raises(DataError, match="gives a number for each class"):
        task("binary_crossentropy", y, metric="f1_score", direction="max")


def test_only_what_earlier_versions_took_for_another_kind_makes_another_search():
    for loss in ("mse", "mae", "binary_crossentropy", "sparse_categorical_crossentropy"):
        assert kind_to_store(loss, None) is None
    assert kind_to_store("binary_crossentropy", "binary") is None
    assert kind_to_store(own_loss, "regression") is None
    assert kind_to_store(own_loss, "multiclass") == "multiclass"
    assert kind_to_store("mse", "binary") == "binary"
    assert kind_to_store("bce", None) == kind_to_store(
        "categorical_focal_crossentropy", "multiclass"
    )


def test_a_search_goes_on_only_as_the_kind_that_it_began_as(tmp_path):
    def known(**options):
        study = Study(
            task=Task("t", Data(ROWS, THREE), **{"loss": own_loss, **options}),
            space=Space(a=Int(0, 1)),
            build=lambda spec, a: None,
            name="s",
        )
        file = tmp_path / "s.py"
        file.touch()
        return make_search_record(study, file, Facts("", "", "none", {}))

    numbers, classes = known(kind="regression"), known(kind="multiclass")
    assert "kind" not in json.loads(numbers.training)  # as stores of earlier versions have it
    assert find_changes(classes, numbers) == ["kind was None, now multiclass"]
    assert find_changes(numbers, classes) == ["kind was multiclass, now None"]
    sparse = {"loss": "sparse_categorical_crossentropy"}
    assert find_changes(known(**sparse, kind="multiclass"), known(**sparse)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": None}, "Task needs loss= a Keras loss"),
        ({"loss": {"a": "mse"}}, "two outputs or more"),
        ({"loss": {"a": "mse", "b/c": "mse"}}, "names without /"),
        ({"loss": {"a": "mse", "b": "mse"}, "metric": "mae"}, "names one, as 'a/mae'"),
        ({"loss": {"a": "mse", "b": "mse"}, "metric": "c/mae"}, "an output 'c' that the task has"),
        ({"loss": {"a": "mse", "b": "mse"}, "kind": {"c": "binary"}}, "names an output 'c'"),
        ({"loss": {"a": "mse", "b": "mse"}, "kind": "binary"}, "kind= is a dict by output"),
        ({"loss": {"a": "mse", "b": "mse"}, "loss_weights": {"a": -1}}, "from 0 on, got -1 for a"),
        ({"loss": {"a": "mse", "b": "mse"}, "class_weight": {0: 1}}, "class_weight is for one"),
        ({"loss_weights": {"a": 1}}, "loss_weights= is for several outputs"),
        ({"loss": {"a": "mse", "a_task": "mse"}}, "cannot be told apart"),
        ({"loss": {"val_a": "mse", "a": "mse"}}, "cannot be told apart"),
        ({"name": 7}, "Task needs name="),
        ({"name": "a\nb"}, "printable"),
        ({"name": ""}, "printable"),
        ({"data": [1.0]}, "Task needs data="),
        ({"metric": len}, "say which way is better"),
        ({"metric": 3}, "metric= a name"),
        ({"outputs": 0}, "outputs >= 1"),
        ({"outputs": True}, "outputs >= 1"),
        ({"preprocess": "scale"}, "a scikit-learn transformer"),
        ({"preprocess": {"x": 3}}, "a scikit-learn transformer"),
    ],
)
def test_options_of_a_task_are_checked_where_it_is_made(options, message):
    given = {"name": "t", "data": Data(ROWS, NUMBERS), "loss": "mse", **options}
    with pytest.raises(ValueError, match=message):
        Task(**given)


def test_fewer_rows_do_not_change_the_kind():
    found = task("binary_crossentropy", LABELS)
    few = np.array([[0, 1, 0], [1, 0, 0]])  # of one label each, by chance
    assert found.kind_of(few) == "multiclass"
    settled = found.with_kind_of(LABELS)
    assert (settled.kind_of(few), settled.output_units(few)) == ("multilabel", 3)
    classes = task("sparse_categorical_crossentropy", THREE).with_kind_of(THREE)
    assert classes.output_units(THREE * 0) == 3


def test_a_class_that_only_the_test_has_is_found_before_the_test_is_opened():
    x = {"x": ROWS, "y": THREE, "x_test": ROWS}
    found = task("sparse_categorical_crossentropy", THREE)
    assert check_test(found, Data(**x, y_test=THREE))
    for y, y_test in ((THREE, THREE + 1), (THREE[:, None], THREE[:, None] + 1)):
        with pytest.raises(DataError, match="y_test has the class 3, which none of the searched"):
            check_test(found, Data(**{**x, "y": y}, y_test=y_test))


def test_a_task_has_the_name_that_its_collection_gave_it():
    assert Task("uci/wine", Data(ROWS, NUMBERS), "mse").name == "uci/wine"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["auto", "fit"])
@pytest.mark.parametrize(
    ("loss", "y", "kind", "metric"),
    [
        ("binary_crossentropy", BINARY, None, "auc"),
        ("binary_focal_crossentropy", BINARY, None, "precision"),
        ("hinge", BINARY, "binary", "accuracy"),
        ("mse", ONE_HOT, "multiclass", "accuracy"),
        ("categorical_focal_crossentropy", ONE_HOT, None, "recall"),
        ("kl_divergence", ONE_HOT, "multiclass", "roc_auc"),
        ("sparse_categorical_crossentropy", THREE, None, "roc_auc"),
        ("binary_crossentropy", LABELS, None, "binary_accuracy"),
        ("binary_crossentropy", LABELS, None, "roc_auc"),
        ("poisson", NUMBERS, None, "mae"),
    ],
)
def test_what_is_taken_is_trained(loss, y, kind, metric, engine):
    def build(spec):
        import keras

        seen.append((spec.outputs, spec.activation))
        inputs = keras.Input(spec.input_shape)
        model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(inputs))
        model.compile("sgd", loss=spec.loss, metrics=spec.metrics)
        return model

    seen = []
    direction = None if metric == "mae" else "max"
    found = task(loss, y, kind=kind, metric=metric, direction=direction)
    score = Holdout(rows=6).evaluate(build, {}, found, epochs=1, engine=engine)
    assert np.isfinite(score.value)
    assert set(seen) == {(found.output_units(y), found.activation)}


@pytest.mark.slow
def test_several_labels_a_row_are_reported_and_predicted_each_for_itself(tmp_path):
    from hpsearch.training import backend

    backend.choose()
    import keras

    from hpsearch.models import kept, scoring
    from hpsearch.models.output_types import describe_outputs
    from hpsearch.models.prediction import predict_table
    from hpsearch.models.retrain import TrainedModel, all_rows
    from hpsearch.training.rows import prepare_rows

    logits = keras.losses.BinaryCrossentropy(from_logits=True)
    found = task(logits, LABELS)
    probable = np.where(LABELS == 1, 2.0, -2.0)
    probable[0] = -2.0  # two labels of one row are overlooked
    report = scoring.report(found, probable, LABELS)
    assert report["accuracy"] == pytest.approx(34 / 36)
    assert [row["recall"] for row in report["classes"]] == [0.75, 0.875, 1.0]
    assert [row["rows"] for row in report["classes"]] == [4, 8, 4]
    assert "confusion" not in report

    inputs = keras.Input((3,))
    same = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    data = found.load()
    rows = prepare_rows(found, data, all_rows(data))
    trained = TrainedModel(same, rows, describe_outputs(found, data.y))
    kept.save(tmp_path / "m", found, data, [(1.0, trained)])
    np.savetxt(tmp_path / "rows.csv", [[2.0, -2.0, 3.0]], delimiter=",")
    frame = predict_table(kept.load(tmp_path / "m"), tmp_path / "rows.csv")
    assert frame.loc[0, ["0", "1", "2"]].tolist() == [1, 0, 1]
    assert frame.loc[0, "p_1"] == pytest.approx(1 / (1 + np.exp(2.0)))
