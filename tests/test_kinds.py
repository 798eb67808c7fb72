"""A task's kind: derived or asked for, and what follows from it."""

import numpy as np
import pytest

from hpsearch import Data, Holdout, KFold, Task
from hpsearch.errors import DataError
from hpsearch.kinds import recorded

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
        DataError, match=r"does not tell what is learned; say it by Task\(..., kind="
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
        ("mse", NUMBERS, {"metric": "accuracy"}, "metric 'accuracy' is of classes, and loss 'mse'"),
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
    ("loss", "y", "metric"),
    [
        ("sparse_categorical_crossentropy", SEQUENCES, "accuracy"),
        ("sparse_categorical_crossentropy", SEQUENCES[..., None], "accuracy"),
        ("categorical_crossentropy", np.eye(3)[SEQUENCES], "accuracy"),
        ("binary_crossentropy", np.eye(3)[SEQUENCES], "loss"),
        ("mse", np.zeros((12, 4, 2)), "mae"),
    ],
)
def test_sequences_as_targets_are_refused(loss, y, metric):
    with pytest.raises(
        DataError, match=r"sequences are not supported as targets yet, only \(rows,"
    ):
        task(loss, y, metric=metric).load()


@pytest.mark.parametrize("metric", ["precision", "recall", "auc", "mae", "categorical_accuracy"])
def test_metrics_that_cannot_read_numbered_classes_are_refused(metric):
    with pytest.raises(DataError, match="supported are accuracy, roc_auc and loss"):
        task("sparse_categorical_crossentropy", THREE, metric=metric, direction="max").load()
    task("categorical_crossentropy", ONE_HOT, metric=metric, direction="max").load()


@pytest.mark.parametrize("y", [BINARY, LABELS, ONE_HOT])
def test_f1_score_is_refused_which_gives_a_number_a_class(y):
    with pytest.raises(DataError, match="gives a number a class"):
        task("binary_crossentropy", y, metric="f1_score", direction="max")


def test_only_what_earlier_versions_took_for_another_kind_makes_another_search():
    for loss in ("mse", "mae", "binary_crossentropy", "sparse_categorical_crossentropy"):
        assert recorded(loss, None) is None
    assert recorded("binary_crossentropy", "binary") is None
    assert recorded(own_loss, "regression") is None
    assert recorded(own_loss, "multiclass") == "multiclass"
    assert recorded("mse", "binary") == "binary"
    assert recorded("bce", None) == recorded("categorical_focal_crossentropy", "multiclass")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": None}, "Task needs loss= a Keras loss"),
        ({"loss": {"a": "mse"}}, "Task needs loss="),
        ({"name": 7}, "Task needs name="),
        ({"name": "a/b"}, "without /"),
        ({"name": ""}, "printable"),
        ({"data": [1.0]}, "Task needs data="),
        ({"metric": len}, "metric= a name"),
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
