"""Data of a table in a file: a frame of numbers, categories, texts and times.

`hpsearch init` writes studies that read their table so. What a column is stands in the study.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief
from hpsearch.tasks import table_files
from hpsearch.tasks.cells import read_date_column, read_number_column, set_missing
from hpsearch.tasks.csv_tables import to_codes
from hpsearch.tasks.table import choose_test_rows

if TYPE_CHECKING:
    import pandas as pd


def read_data(
    path: Path,
    *,
    target: str,
    classes: Sequence[str] = (),
    numbers: Sequence[str] = (),
    categories: Sequence[str] = (),
    texts: Sequence[str] = (),
    dates: Mapping[str, str] | None = None,
    group: str | None = None,
    time: str | None = None,
    missing: Collection[str] = (),
    test: float = 0.2,
) -> Data:
    """Read a table, .csv, .csv.gz or .parquet; x is a frame of the columns named here.

    Cells are read as `init` read them, and `predict` reads them so too. Rows without a target, and
    without a time where `time` names one, are left out.

    Args:
        target: the column to predict.
        classes: the target's values, where it has classes, in the order of their numbers. Otherwise
            the target is a number.
        numbers: columns of numbers, float64; NaN where a cell is missing.
        categories: columns of texts with few values; missing where a cell is.
        texts: columns of texts to vectorise; "" where a cell is missing.
        dates: for each column of times how the file writes them: "ISO8601", or "%d.%m.%Y" and the
            like, as `datetime.strptime` has it. Times with a zone become UTC.
        group: the column that says which rows belong together: none is both in the test and
            searched. `Data.groups` has it.
        time: the column that orders the rows, one of numbers or of `dates`. Rows are sorted by it,
            and the test has the latest instants. `Data.times` has it.
        missing: texts that stand for a missing cell, beside the usual ones.
        test: the share of rows for the test, which no search reads.

    Raises DataError where columns are missing, and for a cell that is not what its column holds.
    """
    import pandas as pd

    if not 0 < test < 1:
        raise DataError(f"test is a share of the rows, above 0 and below 1, got {brief(test)}")
    dates, classes, missing = dict(dates or {}), tuple(classes), tuple(missing)
    columns = (*numbers, *categories, *texts, *dates)
    if twice := [name for name, times in Counter((target, *columns)).items() if times > 1]:
        raise DataError(
            f"column {twice[0]!r} is named twice, as the target, or in numbers=, categories=, texts= "
            "or dates=; name it once"
        )
    table = _read_columns(path, (target, *columns), (group, time))
    called = f"{path}, column "
    y = _read_target(set_missing(table[target], missing), classes, f"{called}{target!r}")
    known = y.notna()
    if time is not None:
        known &= set_missing(table[time], missing).notna()
    table, target_values = table[known], y[known].to_numpy()
    if not len(table):
        raise DataError(f"{path} has no row with a {target!r}{f' and a {time!r}' if time else ''}")
    as_text, as_category = set(texts), set(categories)
    frame = pd.DataFrame({
        name: _read_column(set_missing(table[name], missing), f"{called}{name!r}",
                           dates.get(name), name in as_text, name in as_category)
        for name in columns
    })  # fmt: skip
    groups = None if group is None else _read_groups(table[group])
    times = None
    if time is not None:
        times = (
            frame[time]
            if time in dates
            else read_number_column(set_missing(table[time], missing), f"{called}{time!r}")
        ).to_numpy()
        order = np.argsort(times, kind="stable")
        frame, target_values, times = frame.iloc[order], target_values[order], times[order]
        groups = None if groups is None else groups[order]
    tested = _choose_test(target_values, bool(classes), groups, times, test)
    searched = ~tested
    if classes:
        target_values = target_values.astype(np.int64)
    coding = Coding(
        classes=classes, target=target, missing=missing, dates=dates, texts=tuple(texts)
    )
    return Data(
        frame[searched],
        target_values[searched],
        frame[tested],
        target_values[tested],
        groups=None if groups is None else groups[searched],
        coding=coding,
        times=None if times is None else times[searched],
        times_test=None if times is None else times[tested],
    )


def _read_columns(path: Path, needed: Sequence[str], more: Sequence[str | None]) -> "pd.DataFrame":
    """The columns of the table. Raises DataError where one is missing."""
    table = table_files.read_cells(path)
    names = [*needed, *(name for name in more if name is not None)]
    if missing := [name for name in names if name not in table]:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(str, table))}"
        )
    return table[list(dict.fromkeys(names))]


def _read_column(
    cells: "pd.Series", called: str, date: str | None, is_text: bool, is_category: bool
) -> "pd.Series":
    """The cells of an input: times, texts, categories or numbers."""
    if date is not None:
        return read_date_column(cells, date, called)
    if is_text:
        return cells.fillna("")
    return cells if is_category else read_number_column(cells, called)


def _read_target(cells: "pd.Series", classes: tuple[str, ...], called: str) -> "pd.Series":
    """The targets as numbers, NaN where there is none."""
    if not classes:
        return read_number_column(cells, called)
    codes = to_codes(cells, classes)
    wrong = np.flatnonzero(((codes < 0) & cells.notna()).to_numpy())
    if len(wrong):
        raise DataError(
            f"{called} has {brief(str(cells.iloc[wrong[0]]))} in row {wrong[0] + 1}, which is none of classes="
            f"{brief(classes)}; add it there, or to missing="
        )
    return codes.where(codes >= 0)


def _read_groups(cells: "pd.Series") -> Array:
    """A number for each group, shape (rows,); a row without one is a group of its own."""
    import pandas as pd

    codes, names = pd.factorize(cells)
    alone = codes < 0
    codes[alone] = len(names) + np.arange(int(alone.sum()))
    return np.asarray(codes)


def _choose_test(
    y: Array, classifies: bool, groups: Array | None, times: Array | None, share: float
) -> Array:
    """Which rows are the test, shape (rows,): the latest instants, whole groups, or any rows."""
    if times is not None:
        instants = np.unique(times)
        first = instants[len(instants) - max(1, round(share * len(instants)))]
        return np.asarray(times >= first)
    tested = np.zeros(len(y), bool)
    if groups is None:
        tested[choose_test_rows(y if classifies else np.zeros(len(y)), share)] = True
        return tested
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    parts = max(2, round(1 / share))
    if len(np.unique(groups)) < parts + 1:
        raise DataError(
            f"{len(np.unique(groups))} groups are too few for a test of {share:g} of them; leave "
            "group= out"
        )
    kind = StratifiedGroupKFold if classifies else GroupKFold
    splitter = kind(n_splits=parts, shuffle=True, random_state=0)
    tested[next(iter(splitter.split(np.zeros((len(y), 1)), y, groups)))[1]] = True
    return tested
