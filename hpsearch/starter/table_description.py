"""What is found in a table, and what the user says of it instead of guesses."""

from collections.abc import Mapping
from dataclasses import dataclass

from hpsearch.starter.row_structure import RowStructure
from hpsearch.starter.targets import TargetDescription, TargetKind


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
        missing: the texts that stand for missing cells, by column; has_gaps: whether numbers are missing.
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
    missing: Mapping[str, tuple[str, ...]]
    has_gaps: bool
    structure: RowStructure
    left_out: Mapping[str, str]
    suspects: tuple[str, ...]
    is_rare_learnable: bool
    notes: tuple[str, ...]
