"""A task on a CSV file of your own: numbers and categories, some of them missing.

`hpsearch init` writes studies on it; see there for what is a number and what a category.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hpsearch.core.data import Array, Coding, Data
from hpsearch.core.errors import DataError
from hpsearch.core.task import Task
from hpsearch.tasks import csv_tables

Ordered = Literal["oldest first", "newest first"]


def task(
    name: str,
    path: Path,
    *,
    target: str,
    numbers: Sequence[str] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] = (),
    metric: str | None = None,
    loss: str | None = None,
    transform: Literal["log"] | None = None,
    ordered: Ordered | None = None,
    test: float = 0.2,
) -> Task:
    """What one column of a CSV file is, told by others.

    target: the column to predict. numbers: columns that are filled by their median where a cell is
    missing, then standardised. categories: by column its values, each of which becomes an input of
    0 or 1; all are 0 for any other value. classes: the target's values, if it is classes; a number
    is predicted else, in standard deviations from the mean (`predict` turns it back).
    metric: accuracy, or mae for a number, if not given; roc_auc for two classes. loss: what training
    minimises; mse for a number, if not given (studies that `init` writes say "mae").
    transform: "log" takes a number by log(1 + |number| / the median), with its sign, as is good for
    what is skewed; `predict` turns that back too, and mae then judges medians as before.
    ordered: rows follow time, so the test is of the latest of them, and the rows to search on are
    the oldest first; validate by Holdout(shuffle=False). Else the test is drawn at random.
    test: the share of rows, of each class alike, that no search reads. Rows without a target are
    left out.
    """
    coded = {column: tuple(values) for column, values in (categories or {}).items()}
    if transform not in (None, "log"):
        raise DataError(f"transform is 'log', or nothing, got {transform!r}")
    if transform and classes:
        raise DataError("transform='log' is for a target that is a number; drop it, or the classes")
    if ordered not in (None, "oldest first", "newest first"):
        raise DataError(f"ordered is 'oldest first' or 'newest first', got {ordered!r}")
    if not 0 < test < 1:
        raise DataError(f"test is a share of the rows, above 0 and below 1, got {test!r}")
    metric = metric or ("accuracy" if classes else "mae")

    def load() -> Data:
        return _load(path, target, tuple(numbers), coded, tuple(classes), transform, ordered, test)

    # Searches of studies that name no loss go on by these.
    default_loss = "mse"
    if classes:
        default_loss = (
            "binary_crossentropy" if metric == "roc_auc" else "sparse_categorical_crossentropy"
        )
    loss = loss or default_loss
    # The latest rows, which are the test, may be all that have the last class; a random test leaves
    # rows of each. Earlier versions stored no outputs, so they are said only where they must be.
    needs_outputs = ordered is not None and loss == "sparse_categorical_crossentropy"
    return Task(
        name,
        load,
        loss=loss,
        metric=metric,
        preprocess=_preprocess(len(numbers), list(coded.values())),
        outputs=len(classes) if needs_outputs else None,
    )


def _preprocess(numbers: int, categories: list[tuple[str, ...]]) -> Any:
    """For numbers first, then codes; of the same width whatever rows it is fitted on."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaled = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    known = [list(map(float, range(len(values)))) for values in categories]
    one_hot = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False)
    places = list(range(numbers + len(categories)))
    parts = [("numbers", scaled, places[:numbers]), ("categories", one_hot, places[numbers:])]
    return ColumnTransformer([part for part in parts if part[2]])


def _load(
    path: Path,
    target: str,
    numbers: tuple[str, ...],
    categories: Mapping[str, tuple[str, ...]],
    classes: tuple[str, ...],
    transform: str | None,
    ordered: Ordered | None,
    test: float,
) -> Data:
    frame = csv_tables.read(path)
    columns = (*numbers, *categories)
    if missing := [name for name in (target, *columns) if name not in frame]:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(str, frame))}"
        )
    y = csv_tables.codes(frame[target], classes) if classes else csv_tables.numbers(frame[target])
    known = (y >= 0 if classes else y.notna()).to_numpy()
    coded = [csv_tables.codes(frame[name], values) for name, values in categories.items()]
    x = np.column_stack([csv_tables.number_table(frame[list(numbers)]), *coded])[known]
    kept = y.to_numpy()[known]
    if ordered == "newest first":
        x, kept = x[::-1], kept[::-1]
    if ordered:
        tested = np.arange(len(kept) - round(test * len(kept)), len(kept))
    else:
        tested = _test(kept if classes else np.zeros(len(kept)), test)
    searched = np.setdiff1d(np.arange(len(kept)), tested)
    coding = Coding(categories, classes)
    if classes:
        kept = kept.astype(np.int64)
    else:
        # Another unit, not another problem: networks learn numbers around zero. Told by the
        # searched rows alone.
        logarithm = 0.0
        if transform:
            logarithm = float(np.median(np.abs(kept[searched]))) or 1.0
            kept = symmetric_log(kept, logarithm)
        offset, scale = float(kept[searched].mean()), float(kept[searched].std()) or 1.0
        kept = (kept - offset) / scale
        coding = Coding(categories, (), offset, scale, target, logarithm)
    return Data(
        x[searched], kept[searched], x[tested], kept[tested], columns=columns, coding=coding
    )


def symmetric_log(values: Array, unit: float) -> Array:
    """log(1 + |value| / unit), with the value's sign: for what is skewed, whatever its scale.

    >>> symmetric_log(np.array([-9.0, 0.0, 9.0]), 1.0).round(3)
    array([-2.303,  0.   ,  2.303])
    """
    return np.asarray(np.sign(values) * np.log1p(np.abs(values) / (unit or 1.0)))


def _test(classes: Array, share: float) -> Array:
    """The test's rows, as many of each class as its share."""
    rng = np.random.default_rng(0)
    of_each = [
        rng.permutation(np.flatnonzero(classes == each))[: round(share * np.sum(classes == each))]
        for each in np.unique(classes)
    ]
    return np.sort(np.concatenate(of_each))
