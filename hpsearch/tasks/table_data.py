"""Data of a table in a file: a frame of numbers, categories, texts and times.

`hpsearch init` writes studies that read their table so. What a column is stands in the study.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief
from hpsearch.tasks import table_files
from hpsearch.tasks.cells import (
    name_whole_numbers,
    read_date_column,
    read_number_column,
    set_missing,
)
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
    missing: Collection[str] | Mapping[str, Collection[str]] = (),
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
        categories: columns of texts with few values; missing where a cell is. Whole numbers are
            named without a ".0", with which pandas writes them beside missing cells.
        texts: columns of texts to vectorise; "" where a cell is missing.
        dates: for each column of times how the file writes them: "ISO8601", or "%d.%m.%Y" and the
            like, as `datetime.strptime` has it. Times with a zone become UTC.
        group: the column that says which rows belong together: none is both in the test and
            searched. `Data.groups` has it.
        time: the column that orders the rows, one of numbers or of `dates`. Rows are sorted by it,
            and the test has the latest instants. `Data.times` has it.
        missing: texts that stand for a missing cell, beside the usual ones: by column, or of all.
        test: the share of rows for the test, which no search reads.

    Raises DataError where columns are missing, and for a cell that is not what its column holds.
    """
    import pandas as pd

    if not 0 < test < 1:
        raise DataError(f"test is a share of the rows, above 0 and below 1, got {brief(test)}")
    dates, classes = dict(dates or {}), tuple(classes)
    by_column = missing if isinstance(missing, Mapping) else {}
    coding = Coding(
        classes=classes,
        target=target,
        missing=() if isinstance(missing, Mapping) else tuple(missing),
        missing_in={name: tuple(each) for name, each in by_column.items()},
        dates=dates,
        texts=tuple(texts),
        whole_names=True,
    )
    _check_named_once((target, *numbers, *categories, *texts, *dates))
    if unknown := set(by_column) - {target, *numbers, *categories, *texts, *dates, group, time}:
        raise DataError(
            f"missing= names {brief(sorted(unknown)[0])}, which is no column that is read"
        )
    readers: dict[str, _Reader] = {
        **dict.fromkeys(numbers, read_number_column),
        **dict.fromkeys(categories, lambda cells, called: name_whole_numbers(cells)),
        **dict.fromkeys(texts, lambda cells, called: cells.fillna("")),
        **{name: partial(_read_dates, form) for name, form in dates.items()},
    }
    table = _TableCells(path, _read_columns(path, (target, *readers), (group, time)), coding)
    y = table.read(target, partial(_read_target, classes))
    known = y.notna()
    if time is not None:
        known &= table.cells_of(time).notna()
    if not known.any():
        raise DataError(f"{path} has no row with a {target!r}{f' and a {time!r}' if time else ''}")
    table = replace(table, cells=table.cells[known])
    x = pd.DataFrame({name: table.read(name, reader) for name, reader in readers.items()})
    groups = None if group is None else _read_groups(table.cells[group])
    times = None
    if time is not None:
        times = (x[time] if time in dates else table.read(time, read_number_column)).to_numpy()
    rows = _TableRows(x, y[known].to_numpy(np.int64 if classes else None), groups, times)
    if times is not None:
        rows = rows.take(np.argsort(times, kind="stable"))
    is_tested = _choose_test(rows, bool(classes), test)
    searched, tested = rows.take(~is_tested), rows.take(is_tested)
    return Data(
        searched.x,
        searched.y,
        tested.x,
        tested.y,
        groups=searched.groups,
        coding=coding,
        times=searched.times,
        times_test=tested.times,
    )


_Reader = Callable[["pd.Series", str], "pd.Series"]
"""Makes values of the cells of a column; the text says in errors where they are."""


@dataclass(frozen=True, slots=True, eq=False)
class _TableCells:
    """Columns of a file.

    Args:
        path: of the file.
        cells: as texts.
        coding: says which texts stand for a missing cell.
    """

    path: Path
    cells: "pd.DataFrame"
    coding: Coding

    def cells_of(self, name: str) -> "pd.Series":
        """The cells of a column, without those that stand for a missing one."""
        return set_missing(self.cells[name], self.coding.list_missing(name))

    def read(self, name: str, reader: _Reader) -> "pd.Series":
        """The values of a column."""
        return reader(self.cells_of(name), f"{self.path}, column {name!r}")


@dataclass(frozen=True, slots=True, eq=False)
class _TableRows:
    """Rows of inputs, with their targets, groups and times."""

    x: "pd.DataFrame"
    y: Array
    groups: Array | None
    times: Array | None

    def take(self, rows: Array) -> "_TableRows":
        """Some of them. rows: their numbers, or which of them, shape (rows,)."""
        groups = None if self.groups is None else self.groups[rows]
        times = None if self.times is None else self.times[rows]
        return _TableRows(self.x.iloc[rows], self.y[rows], groups, times)


def _check_named_once(columns: Sequence[str]) -> None:
    """Raise DataError where a column is named twice."""
    if twice := [name for name, times in Counter(columns).items() if times > 1]:
        raise DataError(
            f"column {twice[0]!r} is named twice, as the target, or in numbers=, categories=, texts= "
            "or dates=; name it once"
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


def _read_dates(form: str, cells: "pd.Series", called: str) -> "pd.Series":
    return read_date_column(cells, form, called)


def _read_target(classes: tuple[str, ...], cells: "pd.Series", called: str) -> "pd.Series":
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


def _choose_test(rows: _TableRows, classifies: bool, share: float) -> Array:
    """Which rows are the test, shape (rows,): the latest instants, whole groups, or any rows."""
    if rows.times is not None:
        instants = np.unique(rows.times)
        first = instants[len(instants) - max(1, round(share * len(instants)))]
        return np.asarray(rows.times >= first)
    y, groups = rows.y, rows.groups
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
