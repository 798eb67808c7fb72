"""Row indices of splits, by scikit-learn's splitters."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.training.base import Split


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
    rows: int, folds: int, *, classes: Array | None, groups: Array | None, seed: int
) -> Iterator[Split]:
    """Yield `folds` shuffled splits; every row is in the validation rows of one of them.

    Raises DataError where there are fewer rows, groups, or rows of the smallest class than folds.

    >>> [len(split.validation) for split in kfold(10, 3, classes=None, groups=None, seed=0)]
    [4, 3, 3]
    """
    from sklearn import model_selection

    _check_enough_rows(rows, folds, classes, groups)
    splitters = {
        (False, False): model_selection.KFold,
        (True, False): model_selection.StratifiedKFold,
        (False, True): model_selection.GroupKFold,
        (True, True): model_selection.StratifiedGroupKFold,
    }
    kind = splitters[classes is not None, groups is not None]
    splitter: Any = kind(folds, shuffle=True, random_state=seed)
    for train, validation in splitter.split(np.zeros(rows), classes, groups):
        yield Split(train, validation)


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
