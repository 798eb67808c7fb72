"""Which baselines suit a task and its data, and why others are left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from hpsearch.baselines import estimators
from hpsearch.baselines.inputs import RowForm, describe_rows
from hpsearch.baselines.names import (
    BOOSTING,
    LOGISTIC,
    MAJORITY,
    MEAN,
    MEDIAN,
    PREVIOUS,
    RIDGE,
    SEASONAL,
    TEXT,
    Baseline,
    SeasonalValue,
)
from hpsearch.baselines.seasons import guess_season, why_no_previous
from hpsearch.core.data import Data
from hpsearch.core.option_text import settings_text
from hpsearch.core.searched_preprocessing import PREPROCESS_Y
from hpsearch.core.task import Task

_MOST_COLUMNS = 1000  # of rows that boosting learns from: with more, it takes hours


@dataclass(frozen=True, slots=True)
class BaselineSet:
    """The baselines of a study.

    Args:
        task: the study's, with the preprocessing that baselines take.
        baselines: by name, in the order in which they are trained.
        notes: why some are left out, and what else users should know, a line each.
    """

    task: Task
    baselines: Mapping[str, Baseline]
    notes: Sequence[str] = ()


def choose_baselines(task: Task, data: Data, given: Any = None) -> BaselineSet:
    """The baselines of a task.

    Args:
        data: the task's.
        given: what `Study(baselines=)` says, checked. None: those that suit the task.
    """
    if given is not None and not given:
        return BaselineSet(task, {})
    if why := _why_none(task, data):
        return BaselineSet(task, {}, [f"no baselines: {why}"])
    form = describe_rows(task, data)
    fixed = task.with_kind_of(data.y)
    # Targets that are changed by parameters of the search are learned as they are.
    preprocess_y = None if PREPROCESS_Y in task.searched_preprocessing else task.preprocess_y
    task = replace(task, data=data, preprocess=form.preprocess, preprocess_y=preprocess_y)
    made, notes = _make_all(fixed, data, form)
    if given is None:
        return BaselineSet(task, made, notes)
    chosen: dict[str, Baseline] = {}
    notes = ["baselines learn from rows drawn at random, as many as fit into memory"] * form.samples
    for name, value in given.items():
        if isinstance(value, SeasonalValue):
            why = why_no_previous(fixed, data)
            if why:
                notes.append(f"baseline {name} is left out: {why}")
                continue
            chosen[name] = Baseline(name, None, settings_text(value), steps=value.steps)
        elif value is not None:
            make = estimators.make_copies(value)
            chosen[name] = Baseline(name, make, settings_text(value), draws=True)
        elif name in made:
            chosen[name] = made[name]
        else:
            notes.append(f"baseline {name} is left out: it does not suit task {task.name}")
    return BaselineSet(task, chosen, notes)


def _why_none(task: Task, data: Data) -> str:
    """Why a task can have no baselines at all; "" where it can."""
    if data.given_streams is not None:
        return "the data comes in streams, whose rows baselines cannot have together"
    if task.has_several_outputs:
        return "they predict one output, and this task has several"
    y = np.asarray(data.y)
    if task.is_sequence(y) or y.ndim > 2:
        return "they predict a value or a class a row, and this task has several steps"
    kind = task.kind_of(y)
    if kind != "regression" and not _are_classes(y):
        return "they learn classes, and y has probabilities"
    return ""


def _are_classes(y: Any) -> bool:
    return y.dtype.kind in "biu" or bool((y == np.floor(y)).all())


def _make_all(task: Task, data: Data, form: RowForm) -> tuple[dict[str, Baseline], list[str]]:
    """Those that hpsearch makes for a task, and why it makes no others. task: its kind is known."""
    made: dict[str, Baseline] = {}
    notes: list[str] = []

    def add(name: str, make: Any, **how: Any) -> None:
        made[name] = Baseline(name, make, name, **how)

    trivial = partial(estimators.make_trivial, task)
    name = MEDIAN if estimators.wants_median(task.objective) else MEAN
    add(MAJORITY if task.classifies else name, trivial, weighs=task.weighted_metrics)
    for naive in _make_naive(task, data):
        made[naive.name] = naive
    if form.problem:
        return made, [f"no linear model and no boosting among the baselines: {form.problem}"]
    weighed = task.row_weights(data) is not None
    linear = TEXT if form.is_text else LOGISTIC if task.classifies else RIDGE
    add(linear, partial(estimators.make_linear, task, scaled=form.scaled, weighed=weighed))
    if form.columns > _MOST_COLUMNS and not form.is_image:
        notes.append(
            f"baseline {BOOSTING} is left out: rows have {form.columns:,} numbers, and with more "
            f'than {_MOST_COLUMNS:,} it takes long; baselines={{"boosting": ...}} trains one'
        )
    elif not form.is_image and not form.is_text:
        draws = estimators.boosting_draws(data.rows)
        add(BOOSTING, partial(estimators.make_boosting, task, weighed=weighed), draws=draws)
    if form.samples:
        notes.append("baselines learn from rows drawn at random, as many as fit into memory")
    return made, notes


def _make_naive(task: Task, data: Data) -> Iterator[Baseline]:
    """The previous value and the seasonal one, where rows have times."""
    if why_no_previous(task, data):
        return
    yield Baseline(PREVIOUS, None, PREVIOUS, steps=1)
    steps = guess_season(data.times)
    if steps is not None and steps < data.rows:  # else all are predicted by the first row
        yield Baseline(SEASONAL, None, settings_text(SeasonalValue(steps)), steps=steps)
