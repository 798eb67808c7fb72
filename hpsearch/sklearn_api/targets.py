"""Targets of any form as a loss takes them, and the classes that its numbers stand for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core import task_kinds
from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.core.task_kinds import Kind


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTargets:
    """Targets as a task takes them.

    Args:
        y: as the loss takes them, shape (rows,) or (rows, outputs).
        numbers: by which folds may be stratified, shape (rows,): each row's place in `classes`; of
            a regression the targets themselves.
        classes: the sorted labels; None of a regression.
        loss: a Keras loss.
        kind: of the task, where the loss does not say it.
    """

    y: Array
    numbers: Array
    classes: Array | None
    loss: Any
    kind: Kind | None


def encode_targets(targets: Array, loss: Any, *, classifies: bool) -> EncodedTargets:
    """Encode the labels of a classifier, shape (rows,), or the targets of a regressor.

    Args:
        loss: None: a cross-entropy, or the squared error.

    Raises ValueError for labels that are none, for a single class, and for a loss that gives no
    probabilities.
    """
    if not classifies:
        loss = loss or "mse"
        return EncodedTargets(targets, targets, None, loss, kind_unless_known(loss, "regression"))
    classes, numbers, loss = encode_labels(targets, loss)
    y = targets_for_loss(numbers, len(classes), loss)
    two = len(classes) == 2 and y.ndim == 1
    kind = kind_unless_known(loss, "binary" if two else "multiclass")
    return EncodedTargets(y, numbers, classes, loss, kind)


def encode_labels(labels: Array, loss: Any = None) -> tuple[Array, Array, Any]:
    """The sorted classes, each row's number among them, and the loss (None: a cross-entropy).

    Args:
        labels: shape (rows,).

    Raises ValueError for values that are no labels, for a single class, and for a loss that gives
    no probabilities.

    >>> encode_labels(np.array(["yes", "no", "yes"]))
    (array(['no', 'yes'], dtype='<U3'), array([1, 0, 1]), 'binary_crossentropy')
    """
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils.multiclass import check_classification_targets

    try:
        check_classification_targets(labels)
    except ValueError as error:
        raise ValueError(f'{error} Give kind="regressor" to predict numbers.') from error
    encoder = LabelEncoder().fit(labels)
    classes = encoder.classes_
    if len(classes) < 2:
        raise ValueError(
            f"a classifier needs rows of at least 2 classes, got 1 class: {classes[0]}"
        )
    if loss is None:
        loss = "binary_crossentropy" if len(classes) == 2 else "sparse_categorical_crossentropy"
    kind = kind_unless_known(loss, "multiclass")
    of_numbers = kind is None and task_kinds.possible_kinds(loss, "loss", kind) == ("regression",)
    if of_numbers or task_kinds.takes_logits(loss):
        raise ValueError(
            "a classifier needs a cross-entropy of probabilities (not from_logits=True), got "
            f'loss={loss!r}; leave loss=None, or give kind="regressor" to predict numbers'
        )
    return classes, encoder.transform(labels), loss


def kind_unless_known(loss: Any, kind: Kind) -> Kind | None:
    """The kind that a task needs beside its loss; None where the loss implies it.

    >>> kind_unless_known("mse", "regression"), kind_unless_known("hinge", "binary")
    (None, 'binary')
    """
    try:
        task_kinds.possible_kinds(loss, "loss", None)
    except DataError:
        return kind
    return None


def targets_for_loss(numbers: Array, classes: int, loss: Any) -> Array:
    """Numbered labels as the loss takes them: one-hot, shape (rows, classes), where it needs that.

    >>> targets_for_loss(np.array([1, 0]), 2, "categorical_crossentropy").tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if not task_kinds.takes_one_hot(loss):
        return numbers
    return np.eye(classes, dtype=np.float32)[numbers]
