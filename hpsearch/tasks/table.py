"""A task on a CSV file of your own: numbers and categories, some of them missing.

`hpsearch init` writes studies on it; see there for what is a number and what a category.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import frames
from hpsearch.data import Array, Coding, Data
from hpsearch.errors import DataError
from hpsearch.task import Task


def task(
    name: str,
    path: Path,
    *,
    target: str,
    numbers: Sequence[str] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] = (),
    metric: str | None = None,
    test: float = 0.2,
) -> Task:
    """What one column of a CSV file is, told by others.

    target: the column to predict. numbers: columns that are filled by their median where a cell is
    missing, then standardised. categories: by column its values, each of which becomes an input of
    0 or 1; all are 0 for any other value. classes: the target's values, if it is classes; a number
    is predicted else, in standard deviations from the mean (`predict` turns it back).
    metric: accuracy, or mae for a number, if not given; roc_auc for two classes. test: the share of
    rows, of each class alike, that no search reads. Rows without a target are left out.
    """
    coded = {column: tuple(values) for column, values in (categories or {}).items()}

    def load() -> Data:
        return _load(path, target, tuple(numbers), coded, tuple(classes), test)

    loss = "mse"
    if classes:
        loss = "binary_crossentropy" if metric == "roc_auc" else "sparse_categorical_crossentropy"
    return Task(
        name,
        load,
        loss=loss,
        metric=metric or ("accuracy" if classes else "mae"),
        preprocess=_preprocess(len(numbers), list(coded.values())),
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
    test: float,
) -> Data:
    frame = frames.read(path)
    columns = (*numbers, *categories)
    if missing := [name for name in (target, *columns) if name not in frame]:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(str, frame))}"
        )
    y = frames.codes(frame[target], classes) if classes else frames.numbers(frame[target])
    known = (y >= 0 if classes else y.notna()).to_numpy()
    x = np.column_stack(
        [
            *(frames.numbers(frame[name]) for name in numbers),
            *(frames.codes(frame[name], values) for name, values in categories.items()),
        ]
    )[known]
    kept = y.to_numpy()[known]
    tested = _test(kept if classes else np.zeros(len(kept)), test)
    searched = np.setdiff1d(np.arange(len(kept)), tested)
    coding = Coding(categories, classes)
    if classes:
        kept = kept.astype(np.int64)
    else:
        # Another unit, not another problem: networks learn numbers around zero. Told by the
        # searched rows alone.
        offset, scale = float(kept[searched].mean()), float(kept[searched].std()) or 1.0
        coding, kept = Coding(categories, (), offset, scale, target), (kept - offset) / scale
    return Data(
        x[searched], kept[searched], x[tested], kept[tested], columns=columns, coding=coding
    )


def _test(classes: Array, share: float) -> Array:
    """The test's rows, as many of each class as its share."""
    rng = np.random.default_rng(0)
    of_each = [
        rng.permutation(np.flatnonzero(classes == each))[: round(share * np.sum(classes == each))]
        for each in np.unique(classes)
    ]
    return np.sort(np.concatenate(of_each))
