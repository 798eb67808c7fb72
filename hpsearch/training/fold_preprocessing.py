"""Which rows a fit trains on, where its point decides how they are preprocessed."""

from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from hpsearch.core.seeds import canonical_json
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.training.base import Fit, Split

_SPLITS: WeakKeyDictionary[Split, dict[str, Split]] = WeakKeyDictionary()


def choose_split(task: Task, split: Split, params: Params) -> Split:
    """The split, preprocessed as a point says: the same object for equal parameters.

    So whatever is kept by split, as prepared rows are, is kept by (fold, its parameters).
    """
    chosen = task.choose_preprocessing(params)
    if not chosen or split.preprocessing:
        return split
    of_split = _SPLITS.setdefault(split, {})
    key = canonical_json(chosen)
    if key not in of_split:
        of_split[key] = replace(split, preprocessing=chosen)
    return of_split[key]


def choose_splits(task: Task, fits: Sequence[Fit]) -> list[Fit]:
    """The fits with the splits that their points choose; see `choose_split`."""
    if not task.preprocessing_parameters:
        return list(fits)
    return [replace(fit, split=choose_split(task, fit.split, fit.params)) for fit in fits]
