"""Splits of rows that have an order in time: what may be trained on, and who must not split them."""

from collections.abc import Iterable

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.task import Task
from hpsearch.core.times import find_past, number_instants
from hpsearch.training.base import Indices, Split


def find_past_rows(
    data: Data, instants: Indices, first: int, *, gap: int = 0, window: int | None = None
) -> Indices:
    """`find_past` of the rows of data."""
    return find_past(instants, data.times, data.target_times, first, gap=gap, window=window)


def refuse_shuffling(label: str, task: Task, data: Data) -> None:
    """Raise DataError where rows have times: a split that does not look at them is no forecast."""
    if data.times is not None:
        raise DataError(
            f"{label} trains on rows that lie after those it validates on, and the rows of task "
            f"{task.name} have times; use Forward(), or Holdout(shuffle=False), or leave "
            "times out where their order does not matter"
        )


def refuse_future(label: str, task: Task, data: Data, splits: Iterable[Split]) -> None:
    """Raise DataError where given splits train on what is not known when validation begins."""
    if data.times is None:
        return
    instants = number_instants(data.times, data.rows)
    for fold, split in enumerate(splits):
        first = int(split.validation.min())
        wrong = np.setdiff1d(split.train, find_past_rows(data, instants, first))
        if len(wrong):
            raise DataError(
                f"fold {fold} of {label} trains on row {wrong[0]}, which is not known with its "
                f"target at row {first}, where its validation begins, and the rows of task "
                f"{task.name} have times; use Forward(), or leave times out where their order does "
                "not matter"
            )
