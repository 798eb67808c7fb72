"""Describe a table: what its target is, which columns are inputs, and how its rows are split."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.core.errors import DataError
from hpsearch.starter.columns import MOST_VALUES, Column, Role, choose_role, read_columns
from hpsearch.starter.redundant_columns import find_copies, find_leaks
from hpsearch.starter.row_structure import RowStructure, find_structure, times_of
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
_MOST_NAMED = 3  # columns in a note


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of columns, instead of a guess.

    Args:
        kind: of the target.
        time, group: columns by which rows belong together; "none": no column.
        keep: columns that are inputs, whatever they look like.
        texts: columns to vectorise.
    """

    kind: TargetKind | None = None
    time: str | None = None
    group: str | None = None
    keep: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class TableDescription:
    """What a table is.

    Args:
        rows: how many have a target, of the rows that guesses were made from.
        target: the column to predict.
        numbers: the columns of numbers; skewed: those of them that are mapped by quantiles.
        categories: those with an input for each value; many: those whose values are hashed.
        texts: those that are vectorised.
        dates: those of times, with how they are written; parts: the parts of each that are used.
        missing: texts that stand for missing cells; has_gaps: whether numbers are missing.
        structure: how rows belong together.
        left_out: why columns are no inputs.
        suspects: inputs that give the target away, where no others are left.
        is_rare_learnable: whether the rare class is in each part that models are judged by.
        notes: what a user should know, a line each.
    """

    rows: int
    target: TargetDescription
    numbers: tuple[str, ...]
    skewed: tuple[str, ...]
    categories: tuple[str, ...]
    many: tuple[str, ...]
    texts: tuple[str, ...]
    dates: Mapping[str, str]
    parts: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    has_gaps: bool
    structure: RowStructure
    left_out: Mapping[str, str]
    suspects: tuple[str, ...]
    is_rare_learnable: bool
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Inputs:
    """The columns by what becomes of them, while this is being decided."""

    roles: dict[str, Role] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    suspects: tuple[str, ...] = ()

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        return tuple(
            name
            for name, role in self.roles.items()
            if role.kind in kinds and name not in self.left_out
        )


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
    columns = list(read_columns(known, [str(name) for name in frame if name != target]))
    structure = find_structure(columns, wishes.time, wishes.group)
    found = _choose_inputs(columns, structure, wishes)
    _leave_out_redundant(found, columns, _read_one(known, target), goal, wishes)
    used = {column.name: column for column in columns if column.name not in found.left_out}
    if not used:
        raise DataError(
            f"no column is left to predict {target!r} from: "
            f"{'; '.join(_describe_left_out(found.left_out))}"
        )
    numbers = found.of_kind("number")
    skewed = tuple(name for name in numbers if _is_skewed(used[name]))
    dates = {name: used[name].dates for name in found.of_kind("date")}
    description = TableDescription(
        rows=len(known),
        target=goal,
        numbers=numbers,
        skewed=skewed,
        categories=found.of_kind("category"),
        many=found.of_kind("many"),
        texts=found.of_kind("text"),
        dates={name: each.form for name, each in dates.items() if each},
        parts={name: _choose_parts(name, each.parts, structure) for name, each in dates.items() if each},
        missing=_list_markers(used, found, goal),
        has_gaps=any(not np.isfinite(used[name].values).all() for name in numbers),
        structure=structure,
        left_out=found.left_out,
        suspects=found.suspects,
        is_rare_learnable=_is_rare_learnable(_read_one(known, target), goal, structure, columns),
        notes=(),
    )  # fmt: skip
    return replace(description, notes=(*notes, *_describe(description, used)))


def _check_names(frame: "pd.DataFrame", target: str, wishes: Wishes) -> None:
    """Raise DataError where the user names columns that the table has not."""
    names = [str(name) for name in frame]
    for option, name in [("--target", target), *(("--keep", each) for each in wishes.keep),
                         *(("--text", each) for each in wishes.texts)]:  # fmt: skip
        if name not in frame:
            shown = ", ".join(map(repr, names[:50])) + (", ..." if len(names) > 50 else "")
            raise DataError(f"there is no column {name!r}; name one by {option}: {shown}")
    for option, chosen in (("--time", wishes.time), ("--group", wishes.group)):
        if chosen == target:
            raise DataError(f"{target!r} is the target; name another column by {option}")


def _read_one(frame: "pd.DataFrame", name: str) -> Column:
    return next(read_columns(frame, [name]))


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


def _choose_inputs(columns: Sequence[Column], structure: RowStructure, wishes: Wishes) -> _Inputs:
    """What each column is by itself."""
    found = _Inputs()
    for column in columns:
        name = column.name
        role = choose_role(column, keep=name in wishes.keep, as_text=name in wishes.texts)
        found.roles[name] = role
        if name in (structure.group, structure.time) and name not in wishes.keep:
            if name == structure.group or role.kind != "date":
                found.left_out[name] = ""  # a note of its own says it
        elif role.left_out:
            found.left_out[name] = role.left_out
    return found


def _leave_out_redundant(
    found: _Inputs,
    columns: Sequence[Column],
    target: Column,
    goal: TargetDescription,
    wishes: Wishes,
) -> None:
    """Leave out columns that repeat others, and those that give the target away."""
    inputs = [each for each in columns if each.name not in found.left_out]
    for name, other in find_copies(inputs).items():
        if name not in wishes.keep:
            found.left_out[name] = f"a copy of {other!r}"
    inputs = [each for each in inputs if each.name not in found.left_out]
    told = [each for each in inputs if found.roles[each.name].kind != "date"]
    leaks = find_leaks(told, target, goal.classes)
    leaks = {name: why for name, why in leaks.items() if name not in wishes.keep}
    if len(leaks) < len(inputs):
        found.left_out |= leaks
    else:
        found.suspects = tuple(leaks)


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
    used: Mapping[str, Column], found: _Inputs, goal: TargetDescription
) -> tuple[str, ...]:
    """The texts that stand for missing cells."""
    markers = set(goal.markers)
    for name in found.of_kind("number"):
        markers.update(used[name].markers)
    for name in found.of_kind("date"):
        dates = used[name].dates
        markers.update(dates.markers if dates else ())
    return tuple(sorted(markers))


def _describe(table: TableDescription, used: Mapping[str, Column]) -> Iterable[str]:
    """What a user should know of a table, a line each: what matters most first."""
    goal, target = table.target, repr(table.target.name)
    gives_away = {name: why for name, why in table.left_out.items() if "target" in why}
    yield from _describe_left_out(gives_away)
    if gives_away:
        yield "to have such a column all the same: --keep COLUMN"
    yield from table.structure.notes
    for name in table.suspects:
        yield f"{name!r} alone predicts {target}: is it known before {target} is?"
    if goal.is_imbalanced and table.is_rare_learnable:
        metric = "average precision" if len(goal.classes) == 2 else "the mean F1 of all classes"
        yield (
            f"{target} has a rare class, {goal.rarest} of {table.rows} rows: classes weigh the same "
            f"in training, and the metric is {metric}"
        )
    elif goal.classes and (goal.rarest < 10 or goal.is_imbalanced):
        yield f"the rarest class of {target} has {goal.rarest} rows"
    if goal.is_skewed:
        yield f"{target} is skewed, so its logarithm is learned"
    for name, form in table.dates.items():
        dates = used[name].dates
        if dates and dates.other_form:
            yield f"{name!r} is read as {form}; where it is {dates.other_form}, change the study"
    if table.texts:
        yield f"{_name_some(table.texts)}: text, vectorised by TF-IDF; the vocabulary is searched"
    if table.many:
        yield f"{_name_some(table.many)}: many values, which are hashed"
    if table.skewed:
        yield f"{_name_some(table.skewed)}: skewed, so mapped to a normal distribution"
    if table.missing:
        yield f"cells that count as missing: {_name_some(table.missing)}"
    rest = {name: why for name, why in table.left_out.items() if why and name not in gives_away}
    yield from _describe_left_out(rest)


def _describe_left_out(left_out: Mapping[str, str]) -> Iterable[str]:
    """A line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        if reason:
            by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        yield f"{_name_some(names)} {'is' if len(names) == 1 else 'are'} left out: {reason}"


def _name_some(names: Sequence[str]) -> str:
    """Some of the names, and how many others there are.

    >>> _name_some(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = names if len(names) <= _MOST_NAMED + 1 else names[:_MOST_NAMED]
    rest = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return ", ".join(map(repr, shown)) + rest
