"""A store as pandas frames, for notebooks, exports and figures."""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.core.curves import CURVES
from hpsearch.core.errors import StoreError
from hpsearch.core.option_text import did_you_mean
from hpsearch.results.metric_values import METRICS, curve_column, metric_names
from hpsearch.results.trial_filters import count_states
from hpsearch.store import (
    BASELINES,
    ParsedCurves,
    QueryResult,
    SearchRecord,
    Store,
    TrialMetrics,
    Url,
    default_place,
    parse_place,
    read_all_curves,
    read_all_repeats,
    read_all_trials,
    read_metrics,
)

_PARTS = ["train", "validation"]  # of the rows, each with a curve of a metric
CurveRow = tuple[int, int, int, ParsedCurves]
"""Trial, repeat, fold, and the fit's curves, whose `lists` are in the order of CURVES."""
_TIME_COLUMNS = ["asked", "started", "ended"]
_FLOAT_COLUMNS = ["value", "se", "seconds"]
_INTEGER_COLUMNS = ["best_epoch", "parent", "parameters", "peak_bytes"]


class StoreFrames:
    """A store's trials, repeats, curves and failures as pandas frames.

    Each frame is read at first use and cached; a new `StoreFrames` reads again. Searches that
    `--fresh` put aside are left out.

    Args:
        store: its path or URL; None: $HPSEARCH_STORE, else .hpsearch/store.db.
        study, task, evaluator: only searches of this study, task, or evaluator (by its label).

    Raises StoreError where there is no store, or it holds nothing of that name.
    """

    def __init__(
        self,
        store: str | Path | Url | None = None,
        *,
        study: str | None = None,
        task: str | None = None,
        evaluator: str | None = None,
    ) -> None:
        self.store = default_place() if store is None else parse_place(store)
        with Store(self.store) as opened:
            searches = opened.searches()
        for name, wanted in (("task", task), ("study", study), ("evaluator", evaluator)):
            if wanted is not None:
                searches = _select_searches(searches, name, wanted)
        self.searches: list[SearchRecord] = searches

    def __repr__(self) -> str:
        studies = dict.fromkeys(record.study for record in self.searches)
        return f"{type(self).__name__}({str(self.store)!r}): {', '.join(studies) or 'no study yet'}"

    def _repr_html_(self) -> str:
        from hpsearch.core.html_repr import table

        trials = self.trials
        counts = [
            (study, task, metric, len(group), count_states(group))
            for (study, task, metric), group in trials.groupby(["study", "task", "metric"])
        ]
        return table(("study", "task", "metric", "trials", "of these"), counts)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row a trial, by its id.

        state is complete, failed, running, or stopped (no run is alive to continue it). Each
        parameter x has a column `params_x`. value and se are over all trainings. asked, started and
        ended are in UTC. epochs are fewer than asked_epochs where a trial failed or stopped early.
        search is the search's id. Each metric x that was recorded beside the task's has a column
        `metrics_x`: its mean over folds and trainings at the trial's best epoch, NaN where it was
        not recorded or is not defined. baseline is the name of the plain model that a trial of a
        study's baselines trained; such trials have no parameters.
        """
        return trial_frame(self._read_store(read_trial_rows), self.recorded)

    @cached_property
    def recorded(self) -> Mapping[int, TrialMetrics]:
        """What trials recorded beside their task's metric, by the trial's id."""
        with Store(self.store) as store:
            return read_metrics(store, [record.id for record in self.searches])

    @cached_property
    def repeats(self) -> pd.DataFrame:
        """A row a finished repeat: a trial trained again with other seeds.

        Columns: trial, repeat (from 1), value (its own; NaN where it failed), epochs, seconds,
        failure, device, started and ended (UTC).
        """
        return self._read_store(repeat_frame)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row for each epoch of each fold of each training (repeat 0: the first training).

        It has the metric and the minimised loss, both on training and on validation rows. So have
        `train_metrics_x` and `validation_metrics_x` each metric x recorded beside the task's, which
        is NaN where it is not defined or was not recorded.
        """
        names = metric_names(self.recorded)
        return _curve_frame(chain.from_iterable(self._curve_pages()), names)

    def curve_frames(self) -> "Iterator[pd.DataFrame]":
        """The rows of `curves`, some trials at a time, to save memory."""
        # All have the same columns, so the metrics are known before the first.
        names = metric_names(self.recorded)
        empty = True
        for page in self._curve_pages():
            yield _curve_frame(page, names)
            empty = False
        if empty:
            yield _curve_frame((), names)

    def _curve_pages(self) -> "Iterator[Iterable[CurveRow]]":
        with Store(self.store) as store:
            yield from read_all_curves(store, [record.id for record in self.searches])

    @cached_property
    def failures(self) -> pd.DataFrame:
        """A row a failed trial, by its id: study, kind, message, traceback, device, when."""
        return failure_frame(self._read_store(read_trial_rows))

    @cached_property
    def points(self) -> dict[int, dict[str, Any]]:
        """Each trial's point by the trial's id, in the types of its space; a baseline has its name.

        The columns of `trials` turn whole numbers into floats where some trials lack a parameter.
        """
        rows = self._read_store(read_trial_rows)
        return dict(zip(rows["trial"], rows["params"], strict=True))

    def _read_store(self, frame: Callable[[Store, Sequence[int]], pd.DataFrame]) -> pd.DataFrame:
        with Store(self.store) as store:
            return frame(store, [record.id for record in self.searches])


def read_trial_rows(store: Store, searches: Sequence[int]) -> pd.DataFrame:
    """All trials of these searches as the store has them: for `trial_frame` and `failure_frame`."""
    return _read_frame(read_all_trials, store, searches)


def trial_frame(rows: pd.DataFrame, recorded: Mapping[int, TrialMetrics]) -> pd.DataFrame:
    """The trials of `read_trial_rows`, by id, as `StoreFrames.trials` has them.

    Args:
        recorded: what `read_metrics` has of them.
    """
    frame = rows.set_index("trial")
    # What baselines are called is no parameter of the space.
    pairs = list(zip(frame["searcher"] == BASELINES, frame.pop("params"), strict=True))
    frame["baseline"] = [params["baseline"] if is_plain else None for is_plain, params in pairs]
    of_space = [{} if is_plain else params for is_plain, params in pairs]
    points = pd.DataFrame(of_space, index=frame.index).add_prefix("params_")
    types = dict.fromkeys(_FLOAT_COLUMNS, "float64") | dict.fromkeys(_INTEGER_COLUMNS, "Int64")
    plain = _with_timestamps(frame.drop(columns="detail")).astype(types)
    metrics = pd.DataFrame(
        {
            METRICS + name: _values_at_best(frame.index, recorded, name)
            for name in metric_names(recorded)
        },
        index=frame.index,
    )
    return pd.concat([plain, metrics, points], axis=1)


def _values_at_best(
    trials: "pd.Index[Any]", recorded: Mapping[int, TrialMetrics], name: str
) -> list[float]:
    found = (recorded[trial].at_best.get(name) if trial in recorded else None for trial in trials)
    return [math.nan if metric is None else metric.value for metric in found]


def repeat_frame(store: Store, searches: Sequence[int]) -> pd.DataFrame:
    """The repeats of these searches, as `StoreFrames.repeats` has them."""
    frame = _read_frame(read_all_repeats, store, searches)
    return _with_timestamps(frame).astype({"value": "float64", "seconds": "float64"})


def failure_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """The failed trials of `read_trial_rows`, by id, as `StoreFrames.failures` has them."""
    frame = rows.loc[rows["state"] == "failed"].set_index("trial")
    frame = frame.rename(columns={"failure": "kind", "detail": "traceback"})
    return _with_timestamps(frame)[["study", "kind", "message", "traceback", "device", "ended"]]


def _read_frame(
    read: Callable[[Store, Sequence[int]], QueryResult], store: Store, searches: Sequence[int]
) -> pd.DataFrame:
    rows = read(store, searches)
    return pd.DataFrame(list(rows), columns=list(rows.names))


def _curve_frame(rows: Iterable[CurveRow], metrics: Sequence[str]) -> pd.DataFrame:
    """A row an epoch, from arrays of machine numbers: Python's would need four times the memory.

    Args:
        metrics: the names of those that have columns.
    """
    places = {name: array("q") for name in ("trial", "repeat", "fold", "epoch")}
    values = {name: array("d") for name in CURVES}
    values |= {curve_column(part, name): array("d") for name in metrics for part in _PARTS}
    for trial, repeat, fold, curves in rows:
        epochs = len(curves.lists[0])
        for name, number in (("trial", trial), ("repeat", repeat), ("fold", fold)):
            places[name].extend(array("q", [number]) * epochs)
        places["epoch"].extend(range(1, epochs + 1))
        for name, curve in zip(CURVES, curves.lists, strict=True):
            values[name].extend(curve)
        undefined = (math.nan,) * epochs
        for name in metrics:
            metric = curves.metrics.get(name)
            for part in _PARTS:
                values[curve_column(part, name)].extend(
                    undefined if metric is None else getattr(metric, part)
                )
    columns = {name: np.frombuffer(found, "int64") for name, found in places.items()}
    columns |= {name: np.frombuffer(found, "float64") for name, found in values.items()}
    return pd.DataFrame(columns, copy=False)


def _with_timestamps(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn its columns of times, in seconds since 1970, into timestamps in UTC."""
    found = {
        name: pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True)
        for name in _TIME_COLUMNS
        if name in frame
    }
    return frame.assign(**found)


def _select_searches(searches: list[SearchRecord], name: str, wanted: str) -> list[SearchRecord]:
    """The searches whose field `name` is `wanted`. Raises StoreError where there is none."""
    known = list(dict.fromkeys(getattr(record, name) for record in searches))
    if wanted not in known:
        raise StoreError(
            f"the store has no {name} {wanted!r}{did_you_mean(wanted, known)}; "
            f"it has {', '.join(sorted(known)) or 'none'}"
        )
    return [record for record in searches if getattr(record, name) == wanted]
