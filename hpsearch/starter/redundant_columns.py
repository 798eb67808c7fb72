"""Columns that say what another one says already: copies, and those that give the target away."""

import hashlib
from collections.abc import Sequence

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.starter.columns import Column

_MOST_ROWS = 5000  # that are looked at for a leak
_FEWEST_ROWS = 30  # in fewer, a column may predict everything by chance
_FEWEST_OF_VALUE = 3  # rows that a value of a category needs to tell anything
_EXACT = 0.99  # balanced accuracy by which a column gives the classes away
_EXACT_R2 = 0.999
_MOST_CHANGES = 0.05  # of the class between neighbours, where a tree is worth trying
_MOST_UNEXPLAINED = 0.02


def find_copies(columns: Sequence[Column]) -> dict[str, str]:
    """The columns that repeat an earlier one, with its name.

    Texts that are renamed one to one are copies, too.
    """
    first: dict[bytes, str] = {}
    return {
        column.name: first[key]
        for column in columns
        if first.setdefault(key := _digest(column), column.name) != column.name
    }


def find_leaks(columns: Sequence[Column], target: Column, classes: Sequence[str]) -> dict[str, str]:
    """The columns that give the target away, each with what it does.

    Args:
        columns: those that are to be inputs.
        classes: of the target; empty where it is a number.
    """
    known = target.present if classes else np.isfinite(target.values)
    rows = np.flatnonzero(known)[:: max(1, int(known.sum()) // _MOST_ROWS)]
    if classes:
        places = {name: place for place, name in enumerate(classes)}
        y = np.array([places.get(cell, -1) for cell in target.cells[rows]], np.float64)
    else:
        y = target.values[rows]
    found: dict[str, str] = {}
    for column in columns:
        if _says_the_same(column, rows, y):
            found[column.name] = "the target in other words"
        elif len(rows) >= _FEWEST_ROWS and _predicts_alone(column, rows, y, bool(classes)):
            found[column.name] = "it alone predicts the target, as nothing known beforehand would"
    return found


def _digest(column: Column) -> bytes:
    """Equal for columns that say the same in each row."""
    import pandas as pd

    if column.is_numeric:
        said: Array = np.where(np.isfinite(column.values), column.values, np.nan) + 0.0
    else:
        said = pd.factorize(pd.Series(column.cells, dtype=object).where(column.present))[0]
    return hashlib.blake2b(said.tobytes() + bytes(column.is_numeric)).digest()


def _says_the_same(column: Column, rows: Array, y: Array) -> bool:
    """Whether each value goes with one of the target's, and the other way round."""
    import pandas as pd

    if not column.present[rows].all() or len(column.distinct) < 2:
        return False
    if column.is_numeric and len(np.unique(y)) > 2:
        x = column.values[rows]
        if not np.isfinite(x).all():
            return False
        # Of numbers, one to one means a rising or a falling function.
        order = np.lexsort((y, x))
        steps_x, steps_y = np.diff(x[order]), np.diff(y[order])
        return bool(((steps_x > 0) == (steps_y > 0)).all() and (steps_y >= 0).all()) or bool(
            ((steps_x > 0) == (np.diff(y[np.lexsort((-y, x))]) < 0)).all()
        )
    x = pd.factorize(column.cells[rows])[0]
    pairs = len(np.unique(np.stack([x, y]), axis=1).T)
    return len(np.unique(x)) == len(np.unique(y)) == pairs and pairs < len(rows) / 2


def _predicts_alone(column: Column, rows: Array, y: Array, classifies: bool) -> bool:
    """Whether the target follows from the column alone in rows that were not learned from."""
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if not column.is_numeric:
        return classifies and _determines(column.cells[rows], column.present[rows], y)
    x = column.values[rows]
    if not np.isfinite(x).any():
        return False
    x = np.where(np.isfinite(x), x, np.nanmin(x) - 1)  # a missing cell may tell as well
    if not _may_predict(x, y, classifies):
        return False
    folds = KFold(3, shuffle=True, random_state=0)
    if classifies:
        tree = DecisionTreeClassifier(max_depth=4, random_state=0)
        predicted = cross_val_predict(tree, x[:, None], y.astype(int), cv=folds)
        return bool(balanced_accuracy_score(y.astype(int), predicted) >= _EXACT)
    tree = DecisionTreeRegressor(max_depth=12, random_state=0)
    return bool(r2_score(y, cross_val_predict(tree, x[:, None], y, cv=folds)) >= _EXACT_R2)


def _may_predict(x: Array, y: Array, classifies: bool) -> bool:
    """Whether neighbours by x have nearly the same target, which is quick to see.

    Half of their mean squared difference estimates the unexplained variance (Rice, Annals of
    Statistics 12, 1984).
    """
    # Rows of equal x come in any order, so that those with different targets are seen to differ.
    mixed = np.random.default_rng(0).permutation(len(x))
    steps = np.diff(y[mixed[np.argsort(x[mixed], kind="stable")]])
    if classifies:
        return bool(np.mean(steps != 0) <= _MOST_CHANGES + 2 * len(np.unique(y)) / len(y))
    return bool(np.mean(steps**2) / 2 <= _MOST_UNEXPLAINED * y.var())


def _determines(cells: Array, present: Array, y: Array) -> bool:
    """Whether each value of a category that several rows have goes with one class."""
    import pandas as pd

    values = pd.factorize(np.where(present, cells, ""))[0]
    of_value = np.split(np.argsort(values, kind="stable"), np.cumsum(np.bincount(values))[:-1])
    several = [where for where in of_value if len(where) >= _FEWEST_OF_VALUE]
    covered = np.concatenate(several) if several else np.array([], int)
    if len(covered) < 0.8 * len(y) or len(np.unique(y[covered])) < 2:
        return False
    right = {each: 0 for each in np.unique(y[covered])}
    for where in several:
        names, counts = np.unique(y[where], return_counts=True)
        right[names[counts.argmax()]] += int(counts.max())
    shares = [count / np.sum(y[covered] == each) for each, count in right.items()]
    return bool(np.mean(shares) >= _EXACT)
