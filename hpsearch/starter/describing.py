"""Describe a table: what its target is, which columns are inputs, and how its rows are split."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.core.errors import DataError
from hpsearch.starter.columns import MOST_VALUES, Column, is_counter, read_columns
from hpsearch.starter.input_choice import Inputs, choose_inputs, leave_out_redundant
from hpsearch.starter.row_structure import RowStructure, find_structure, times_of
from hpsearch.starter.table_description import TableDescription, Wishes
from hpsearch.starter.table_notes import describe_findings, describe_left_out
from hpsearch.starter.targets import (
    TargetDescription,
    TargetKind,
    compute_skewness,
    describe_target,
)
from hpsearch.tasks import table_files

if TYPE_CHECKING:
    import pandas as pd

_FEWEST_ROWS = 10
_MOST_CELLS = 5_000_000  # that guesses are made from
_SKEWED_INPUT = 3.0
_FOLDS, _TIME_PARTS = 4, 10


def read_table(path: Path) -> tuple["pd.DataFrame", int]:
    """Read rows of the file to guess from, their cells as text, and count all its rows.

    Raises DataError where a target has no other columns.
    """
    frame, rows = table_files.sample_cells(path, _MOST_CELLS)
    if frame.shape[1] < 2:
        raise DataError(
            f"{path} has only the column {frame.columns[0]!r}; a target needs other columns to be "
            "predicted from"
        )
    return frame, rows


def describe_table(
    frame: "pd.DataFrame", target: str, wishes: Wishes | None = None, rows: int | None = None
) -> TableDescription:
    """Describe each column, and how the rows belong together.

    Args:
        frame: all cells as text.
        target: the column to predict.
        wishes: what the user says instead of guesses.
        rows: of the whole table, where the frame has some of them only.

    Raises DataError where there is no such target, or no column to predict it from.
    """
    wishes = wishes or Wishes()
    _check_names(frame, target, wishes)
    known, goal, notes = _find_known_rows(frame, target, wishes.kind, rows)
    names = [str(name) for name in frame if name != target]
    counters = _find_counters(frame, names, known, rows)
    columns = [
        replace(column, counts_rows=column.name in counters)
        for column in read_columns(known, names)
    ]
    structure = find_structure(columns, wishes.time, wishes.group)
    target_column = _read_one(known, target)
    found = choose_inputs(columns, structure, wishes)
    leave_out_redundant(found, columns, target_column, goal, wishes)
    used = _find_used(columns, found, target)
    numbers = found.of_kind("number")
    dates = {name: of for name in found.of_kind("date") if (of := used[name].dates)}
    description = TableDescription(
        rows=len(known),
        target=goal,
        numbers=numbers,
        skewed=tuple(name for name in numbers if _is_skewed(used[name])),
        categories=found.of_kind("category"),
        many=found.of_kind("many"),
        texts=found.of_kind("text"),
        dates={name: each.form for name, each in dates.items()},
        parts={name: _choose_parts(name, each.parts, structure) for name, each in dates.items()},
        missing=dict(_list_markers(used, found, goal)),
        has_gaps=any(not np.isfinite(used[name].values).all() for name in numbers),
        structure=structure,
        left_out=found.left_out,
        suspects=found.suspects,
        is_rare_learnable=_is_rare_learnable(target_column, goal, structure, columns),
        notes=(),
    )
    return replace(description, notes=(*notes, *describe_findings(description, used)))


def _check_names(frame: "pd.DataFrame", target: str, wishes: Wishes) -> None:
    """Raise DataError where the user names columns that the table has not."""
    names = [str(name) for name in frame]
    for option, name in [("--target", target), *(("--keep", each) for each in wishes.keep),
                         *(("--text", each) for each in wishes.texts)]:  # fmt: skip
        if name not in frame:
            shown = ", ".join(map(repr, names[:50])) + (", ..." if len(names) > 50 else "")
            raise DataError(f"there is no column {name!r}; name one by {option}: {shown}")
    for option, chosen in (
        ("--time", wishes.time),
        ("--group", wishes.group),
        *(("--text", each) for each in wishes.texts),
        *(("--keep", each) for each in wishes.keep),
    ):
        if chosen == target:
            raise DataError(f"{target!r} is the target; name another column by {option}")


def _read_one(frame: "pd.DataFrame", name: str) -> Column:
    return next(read_columns(frame, [name]))


def _find_counters(
    frame: "pd.DataFrame", names: Sequence[str], known: "pd.DataFrame", rows: int | None
) -> set[str]:
    """The columns that number the rows of the table: gaps would hide it where some are left out."""
    sampled = rows is not None and rows > len(frame)
    if not sampled and len(known) == len(frame):
        return set()
    return {each.name for each in read_columns(frame, names) if is_counter(each, sampled=sampled)}


def _find_known_rows(
    frame: "pd.DataFrame", target: str, kind: TargetKind | None, rows: int | None
) -> tuple["pd.DataFrame", TargetDescription, list[str]]:
    """The rows that have a target, what it is, and what to say of the table."""
    notes = [
        f"{name!r} is the second column of that name in the file"
        for name in frame
        if re.search(r"\.\d+$", str(name)) and str(name).rpartition(".")[0] in frame
    ]
    if rows is not None and rows > len(frame):
        notes.append(f"{rows:,} rows: these guesses are made from {len(frame):,} of them")
    known = frame.loc[frame[target].notna()]
    if len(known) < _FEWEST_ROWS:
        raise DataError(
            f"{len(known)} rows have a {target!r}; a search needs at least {_FEWEST_ROWS}"
        )
    goal = describe_target(_read_one(known, target), kind)
    if goal.markers:
        known = known.loc[~known[target].isin(goal.markers)]
    if missing := len(frame) - len(known):
        notes.append(f"{missing} of {len(frame)} rows are left out: they have no {target!r}")
    return known.reset_index(drop=True), goal, notes


def _find_used(columns: Sequence[Column], found: Inputs, target: str) -> dict[str, Column]:
    """The columns that are inputs, by name. Raises DataError where none is left."""
    used = {column.name: column for column in columns if column.name not in found.left_out}
    if not used:
        raise DataError(
            f"no column is left to predict {target!r} from: "
            f"{'; '.join(describe_left_out(found.left_out))}"
        )
    return used


def _is_rare_learnable(
    target: Column, goal: TargetDescription, structure: RowStructure, columns: Sequence[Column]
) -> bool:
    """Whether the rarest class is in each part of the rows that a model is judged by."""
    if not goal.classes:
        return False
    names, counts = np.unique(target.texts.astype(str), return_counts=True)
    is_rarest = target.cells == names[counts.argmin()]
    of_rows = {column.name: column for column in columns}
    if structure.time:
        times = times_of(of_rows[structure.time])
        assert times is not None
        parts = np.array_split(is_rarest[np.argsort(times, kind="stable")], _TIME_PARTS)
        return all(part.any() for part in parts)
    if structure.group:
        return len(set(of_rows[structure.group].cells[is_rarest])) >= 2 * _FOLDS
    # The test rows are left out; each fold needs one.
    return goal.rarest - round(goal.rarest * 0.2) >= _FOLDS


def _is_skewed(column: Column) -> bool:
    numbers = column.values[np.isfinite(column.values)]
    return len(column.distinct) > MOST_VALUES and abs(compute_skewness(numbers)) > _SKEWED_INPUT


def _choose_parts(name: str, parts: tuple[str, ...], structure: RowStructure) -> tuple[str, ...]:
    """The parts of times that are inputs: not the trend of those that rows are split by."""
    without = tuple(part for part in parts if part != "days")
    return without if name == structure.time and without else parts


def _list_markers(
    used: Mapping[str, Column], found: Inputs, goal: TargetDescription
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The texts that stand for missing cells, by column: a value elsewhere may be such a text."""
    if goal.markers:
        yield goal.name, tuple(sorted(goal.markers))
    for name in found.of_kind("number"):
        if markers := used[name].markers:
            yield name, markers
    for name in found.of_kind("date"):
        dates = used[name].dates
        if dates and dates.markers:
            yield name, tuple(sorted(dates.markers))
