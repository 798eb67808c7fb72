"""Labels of any kind as the numbers that a loss takes."""

from typing import Any

import numpy as np

from hpsearch.data import Array, Data
from hpsearch.task import Task, loss_name


def encode(labels: Array, loss: Any = None) -> tuple[Array, Array, Any]:
    """The sorted classes, the rows' numbers among them, and the loss: a cross-entropy if None.

    labels: shape (rows,). Raises ValueError for values that are no labels, for a single class, and
    for a loss that gives no probabilities.

    >>> encode(np.array(["yes", "no", "yes"]))
    (array(['no', 'yes'], dtype='<U3'), array([1, 0, 1]), 'binary_crossentropy')
    """
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils.multiclass import check_classification_targets

    check_classification_targets(labels)
    encoder = LabelEncoder().fit(labels)
    classes = encoder.classes_
    if len(classes) < 2:
        raise ValueError(
            f"a classifier needs rows of at least 2 classes, got 1 class: {classes[0]}"
        )
    if loss is None:
        loss = "binary_crossentropy" if len(classes) == 2 else "sparse_categorical_crossentropy"
    if Task("", Data(np.zeros(1), np.zeros(1)), loss).activation == "linear":
        raise ValueError(
            "a classifier needs a cross-entropy of probabilities (not from_logits=True), got "
            f"loss={loss!r}; leave loss=None"
        )
    return classes, encoder.transform(labels), loss


def for_loss(numbers: Array, classes: int, loss: Any) -> Array:
    """Numbered labels as the loss takes them: one-hot, shape (rows, classes), where it wants that.

    >>> for_loss(np.array([1, 0]), 2, "categorical_crossentropy").tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if loss_name(loss) != "categorical_crossentropy":
        return numbers
    return np.eye(classes, dtype=np.float32)[numbers]
