"""Row indices of splits: those of scikit-learn's splitters."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.task import Task
from hpsearch.training.base import Split


def refuse_given_part(label: str, task: Task, data: Data) -> None:
    """Raise DataError where the data says itself which rows validate. label: the evaluator's."""
    if data.validation_rows:
        raise DataError(
            f"{label} chooses the validation rows, and Data(x_val=, y_val=) of task {task.name} "
            "gives them; use evaluator=Given(), or put all rows into x and y"
        )


def holdout(
    rows: int, validation: int, *, classes: Array | None, shuffle: bool, seed: int
) -> Split:
    """Split off `validation` of `rows` rows: the last ones, or random ones, stratified by classes.

    >>> holdout(5, 2, classes=None, shuffle=False, seed=0).validation
    array([3, 4])
    """
    if not shuffle:
        order = np.arange(rows)
        return Split(order[: rows - validation], order[rows - validation :])
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(
            np.arange(rows), test_size=validation, random_state=seed, stratify=classes
        )
    except ValueError as error:
        raise DataError(
            f"a holdout of {validation} rows cannot be stratified: {error} Say "
            "stratify=False to split without"
        ) from error
    return Split(np.sort(train), np.sort(test))


def kfold(
    rows: int, folds: int, *, classes: Array | None, groups: Array | None, seed: int | None
) -> Iterator[Split]:
    """Yield `folds` splits; every row is in the validation rows of one of them.

    Args:
        seed: of the shuffling; None: rows are not shuffled, and folds are contiguous unless classes
            or groups are given.

    Raises DataError where there are fewer rows, groups, or rows of the smallest class than folds.

    >>> [len(split.validation) for split in kfold(10, 3, classes=None, groups=None, seed=0)]
    [4, 3, 3]
    """
    _check_enough_rows(rows, folds, classes, groups)
    if groups is None:
        fold_of_row = _assign_folds(rows, folds, classes, seed)
        for fold in range(folds):
            yield Split(np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
        return
    from sklearn import model_selection

    grouped, stratified = model_selection.GroupKFold, model_selection.StratifiedGroupKFold
    kind = grouped if classes is None else stratified
    splitter: Any = kind(folds, shuffle=seed is not None, random_state=seed)
    for train, validation in splitter.split(np.zeros(rows), classes, groups):
        yield Split(train, validation)


def _assign_folds(rows: int, folds: int, classes: Array | None, seed: int | None) -> Array:
    """Each row's fold, as scikit-learn's KFold and StratifiedKFold assign them.

    Without importing scikit-learn, which takes longer than training a small model.
    """
    rng = None if seed is None else np.random.RandomState(seed)
    fold_of_row = np.empty(rows, np.int64)
    if classes is None:
        # The first rows % folds folds have a row more.
        sizes = [rows // folds + (fold < rows % folds) for fold in range(folds)]
        order = np.arange(rows)
        if rng is not None:
            rng.shuffle(order)
        fold_of_row[order] = np.arange(folds).repeat(sizes)
        return fold_of_row
    # Number the classes by their first rows; deal the rows out in turns, sorted by class.
    _, first_rows, found = np.unique(classes, return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(first_rows))[found]
    in_order = np.sort(numbers)
    for number in range(len(first_rows)):
        sizes = [int((in_order[fold::folds] == number).sum()) for fold in range(folds)]
        dealt = np.arange(folds).repeat(sizes)
        if rng is not None:
            rng.shuffle(dealt)
        fold_of_row[numbers == number] = dealt
    return fold_of_row


def _check_enough_rows(rows: int, folds: int, classes: Array | None, groups: Array | None) -> None:
    if folds > rows:
        raise DataError(f"{folds} folds need at least {folds} rows, got {rows}; use fewer folds")
    if groups is not None and len(np.unique(groups)) < folds:
        raise DataError(
            f"{folds} folds need at least {folds} groups, got {len(np.unique(groups))}; "
            "use fewer folds"
        )
    if classes is not None:
        values, counts = np.unique(classes, return_counts=True)
        if counts.min() < folds:
            raise DataError(
                f"{folds} stratified folds need {folds} rows of each class, but class "
                f"{values[counts.argmin()]} has {counts.min()}; use at most {counts.min()} folds, "
                "or stratify=False"
            )
