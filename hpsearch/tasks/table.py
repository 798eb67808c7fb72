"""A task on a CSV file of your own, with numbers and categories, some of them missing.

`hpsearch init` writes studies with such tasks. It decides what is a number and what a category.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
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
    """Predict one column of a CSV file from others. Rows without a target are left out.

    Args:
        target: the column to predict.
        numbers: columns of numbers; missing cells get the median, then all are standardised.
        categories: for each column of categories, its values. Each value becomes an input of 0 or
            1; for any other value all of these are 0.
        classes: the target's values, where it has classes. Otherwise the target is a number, in
            standard deviations from its mean (`predict` converts it back).
        metric: by default accuracy for classes, and mae for a number; roc_auc for two classes.
        loss: what training minimises; by default mse for a number (`init` writes "mae").
        transform: "log" replaces a target that is a number by log(1 + |number| / median), with the
            number's sign, which suits skewed targets. `predict` converts it back.
        ordered: the rows are in order of time. The test then has the latest rows, and the rows to
            search on are sorted oldest first; validate by Holdout(shuffle=False). By default the
            test is drawn at random.
        test: the share of rows for the test, which no search reads; the same for each class.
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

    # These stay as they are, so that searches of studies without a loss can continue.
    default_loss = "mse"
    if classes:
        default_loss = (
            "binary_crossentropy" if metric == "roc_auc" else "sparse_categorical_crossentropy"
        )
    loss = loss or default_loss
    # In order of time, the test may have all rows of the last class, which a random test never has.
    # Earlier versions stored no outputs, so they are given only where they are needed.
    needs_outputs = ordered is not None and loss == "sparse_categorical_crossentropy"
    return Task(
        name,
        load,
        loss=loss,
        metric=metric,
        preprocess=_make_preprocessing(len(numbers), list(coded.values())),
        outputs=len(classes) if needs_outputs else None,
    )


def _make_preprocessing(numbers: int, categories: list[tuple[str, ...]]) -> Any:
    """Preprocessing of numbers, then codes. Its output has the same width for any rows."""
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
    frame = csv_tables.read_table(path)
    columns = (*numbers, *categories)
    if missing := [name for name in (target, *columns) if name not in frame]:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(str, frame))}"
        )
    y = (
        csv_tables.to_codes(frame[target], classes)
        if classes
        else csv_tables.to_numbers(frame[target])
    )
    known = (y >= 0 if classes else y.notna()).to_numpy()
    coded = [csv_tables.to_codes(frame[name], values) for name, values in categories.items()]
    x = np.column_stack([csv_tables.to_number_table(frame[list(numbers)]), *coded])[known]
    kept = y.to_numpy()[known]
    if ordered == "newest first":
        x, kept = x[::-1], kept[::-1]
    if ordered:
        tested = np.arange(len(kept) - round(test * len(kept)), len(kept))
    else:
        tested = choose_test_rows(kept if classes else np.zeros(len(kept)), test)
    searched = np.setdiff1d(np.arange(len(kept)), tested)
    coding = Coding(categories, classes)
    if classes:
        kept = kept.astype(np.int64)
    else:
        # Networks learn numbers around zero. The unit is that of the searched rows only.
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
    """log(1 + |value| / unit), with the sign of the value.

    >>> symmetric_log(np.array([-9.0, 0.0, 9.0]), 1.0).round(3)
    array([-2.303,  0.   ,  2.303])
    """
    return np.asarray(np.sign(values) * np.log1p(np.abs(values) / (unit or 1.0)))


def choose_test_rows(classes: Array, share: float) -> Array:
    """Rows for the test, the same share of each class."""
    rng = np.random.default_rng(0)
    of_each = [
        rng.permutation(np.flatnonzero(classes == each))[: round(share * np.sum(classes == each))]
        for each in np.unique(classes)
    ]
    return np.sort(np.concatenate(of_each))
