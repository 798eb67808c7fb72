"""Targets that are the names of classes, as numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief, can_be_written


def number_labels(
    name: str, y: Any, classes: Sequence[str] = ()
) -> tuple[Array, tuple[str, ...]] | None:
    """Labels that are texts as numbers from 0, and the classes' names; None for other targets.

    Args:
        name: what users call it, as "y".
        y: of shape (rows,).
        classes: the names, in the order of their numbers; empty: those that occur, sorted.

    Raises DataError for a missing label, and for one that is none of the classes.
    """
    if isinstance(y, Mapping):
        return None
    try:
        labels = np.asarray(y)
    except (TypeError, ValueError):  # ragged
        return None
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels.reshape(-1)
    is_text = np.array([isinstance(each, str) for each in labels]) if _may_be(labels) else None
    if is_text is None or not is_text.any():
        return None
    if not is_text.all():
        row = int(np.flatnonzero(~is_text)[0])
        raise DataError(
            f"{name} has labels that are texts, and {brief(labels[row])} in row {row}; give each row "
            "a text, or drop it"
        )
    known = tuple(classes) or tuple(map(str, np.unique(labels.astype(str))))
    if len(known) < 2:
        raise DataError(
            f"{name} must be an array of numbers, or of labels of two classes or more, got the label "
            f"{brief(known[0])} alone"
        )
    for label in known:
        if not can_be_written(label):
            raise DataError(
                f"{name} has the label {brief(label)}, which no file can hold; read it in its own "
                "encoding, or rename the class"
            )
    places = {label: place for place, label in enumerate(known)}
    numbers = np.array([places.get(label, -1) for label in labels], np.int64)
    if (numbers < 0).any():
        row = int(np.flatnonzero(numbers < 0)[0])
        raise DataError(
            f"{name} has the label {brief(str(labels[row]))} in row {row}, which is none of the classes "
            f"{', '.join(known)}"
        )
    return numbers, known


def number_part(
    part: str,
    y: Any,
    classes: Sequence[str],
    has_labels: bool,
    source_classes: Sequence[str] | None = None,
) -> Any:
    """The targets of a part with its labels as numbers of the searched rows' classes.

    Args:
        part: "val" or "test".
        y: its targets; None where there are none.
        classes: of the searched rows; empty where they have no names.
        has_labels: whether the user gave the targets of the searched rows as texts.
        source_classes: those that the part's source names, where y is from it; else None.

    Raises DataError where the same number might mean another class.
    """
    name = f"y_{part}"
    labels = number_labels(name, y, classes)
    if labels is not None and not classes:
        raise DataError(
            f"{name} has labels that are texts, and y has numbers; give both as texts, or both as "
            "numbers"
        )
    if source_classes or (source_classes is not None and labels is None):
        check_same_classes(classes, f"x_{part}", source_classes)
    elif labels is None and y is not None and has_labels:
        raise DataError(
            f"y has labels that are texts, and {name} has none; give both as texts, or both as "
            "numbers"
        )
    return y if labels is None else labels[0]


def check_same_classes(classes: Sequence[str], name: str, others: Sequence[str]) -> None:
    """Raise DataError where a part, as "x_val", gives other names to the same numbers."""
    if tuple(classes) != tuple(others):
        here, there = (
            f"the classes {brief(tuple(each))}" if each else "classes without names"
            for each in (classes, others)
        )
        raise DataError(
            f"y has {here}, and {name} {there}; both need the same ones, in the same order"
        )


def _may_be(labels: Array) -> bool:
    return labels.ndim == 1 and labels.dtype.kind in "UO"
