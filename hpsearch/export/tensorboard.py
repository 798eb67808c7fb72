"""TensorBoard event files: a run a trial, with hyperparameters for the HParams tab.

Written with TensorBoard's own record writer and messages. Its `hparams.api` would import
TensorFlow.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import SessionEndInfo, SessionStartInfo

from hpsearch.core.parameters import Choice, Float, Int
from hpsearch.export.export_records import (
    ExportedSearch,
    ExportedTrial,
    metrics_at_best,
    name_curves,
    read_searches,
)
from hpsearch.loggers.base import VALUE
from hpsearch.loggers.tensorboard import (
    EVENT_FILE,
    hparams_value,
    safe_path_part,
    set_hparam,
    write_events,
)
from hpsearch.results.frames import StoreFrames

_STATUS = {
    "complete": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
    "running": api_pb2.STATUS_RUNNING,
    "stopped": api_pb2.STATUS_UNKNOWN,
}


def write_export(results: StoreFrames, path: Path) -> None:
    """Write event files into a new folder, with a folder a search and in it a folder a trial."""
    found = read_searches(results)
    _write_events(
        path,
        [(0.0, 0, hparams_value(metadata.EXPERIMENT_TAG, experiment=_describe_experiment(found)))],
    )
    texts = _text_parameters(found)
    for search in found:
        for trial in search.trials:
            run = path / safe_path_part(search.name) / safe_path_part(trial.name)
            _write_events(run, _trial_events(search, trial, texts))


def _write_events(folder: Path, events: Any) -> None:
    write_events(
        folder / EVENT_FILE,
        (
            Event(wall_time=at, step=step, summary=Summary(value=values))
            for at, step, values in events
        ),
    )


def _trial_events(
    search: ExportedSearch, trial: ExportedTrial, texts: set[str]
) -> Iterator[tuple[float, int, Any]]:
    """The events of one trial, as (seconds since 1970, step, summary values)."""
    begin = trial.started.timestamp()
    start = SessionStartInfo(group_name=str(trial.id), start_time_secs=begin)
    for name, value in {"study": search.name, **trial.params}.items():
        set_hparam(start, name, value, is_text=name in texts)
    yield begin, 0, hparams_value(metadata.SESSION_START_INFO_TAG, session_start_info=start)
    names = name_curves(search)
    for epoch, values in enumerate(zip(*trial.curves.values(), strict=True), 1):
        scalars = [
            Summary.Value(tag=names[curve], simple_value=value)
            for curve, value in zip(trial.curves, values, strict=True)
            if not math.isnan(value)  # a metric that is not defined at this epoch
        ]
        yield trial.at(epoch), epoch, scalars
    if trial.value is not None:
        step = int(trial.row.best_epoch)
        at_best = {VALUE: trial.value, **metrics_at_best(trial)}
        tagged = [Summary.Value(tag=tag, simple_value=value) for tag, value in at_best.items()]
        yield trial.at(step), step, tagged
    if trial.ended is not None:
        ended = trial.ended.timestamp()
        end = SessionEndInfo(status=_STATUS[trial.state], end_time_secs=ended)
        yield ended, 0, hparams_value(metadata.SESSION_END_INFO_TAG, session_end_info=end)


def _describe_experiment(found: list[ExportedSearch]) -> api_pb2.Experiment:
    """One experiment for all searches: the HParams tab shows the first one only."""
    parameters = _collect_parameters(found)
    texts = _text_parameters(found)
    study = api_pb2.HParamInfo(name="study", type=api_pb2.DATA_TYPE_STRING)
    study.domain_discrete.extend([search.name for search in found])
    tags = dict.fromkeys(
        [
            *(tag for search in found for each in search.trials for tag in metrics_at_best(each)),
            *(tag for search in found for tag in name_curves(search).values()),
        ]
    )
    return api_pb2.Experiment(
        description="hpsearch",
        time_created_secs=min((search.record.began for search in found), default=0.0),
        hparam_infos=[
            study,
            *(_describe_parameter(n, p, n in texts) for n, p in parameters.items()),
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in [VALUE, *tags]
        ],
    )


def _describe_parameter(
    name: str, ranges: list[Float | Int | Choice], text: bool
) -> api_pb2.HParamInfo:
    """A parameter of one or several searches: its type, and all values it may have."""
    options = [o for each in ranges if isinstance(each, Choice) for o in each.options]
    bounds = [b for each in ranges if not isinstance(each, Choice) for b in (each.low, each.high)]
    if text:
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_STRING)
        if not bounds:
            info.domain_discrete.extend(list(dict.fromkeys(map(str, options))))
    elif options and all(isinstance(option, bool) for option in options) and not bounds:
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_BOOL)
        info.domain_discrete.extend([False, True])
    else:
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_FLOAT64)
        if bounds:
            both = [*bounds, *options]
            info.domain_interval.min_value, info.domain_interval.max_value = min(both), max(both)
        else:
            info.domain_discrete.extend(sorted(set(options)))
    return info


def _collect_parameters(found: list[ExportedSearch]) -> dict[str, list[Float | Int | Choice]]:
    parameters: dict[str, list[Float | Int | Choice]] = {}
    for search in found:
        for name, parameter in search.space.items():
            parameters.setdefault(name, []).append(parameter)
    return parameters


def _text_parameters(found: list[ExportedSearch]) -> set[str]:
    """The parameters whose values become text, because a column of the tab has one type."""
    texts = {"study"}
    for name, ranges in _collect_parameters(found).items():
        kinds = {
            bool if isinstance(o, bool) else str if isinstance(o, str) else float
            for each in ranges
            for o in (each.options if isinstance(each, Choice) else (each.low,))
        }
        if kinds not in ({bool}, {float}):
            texts.add(name)
    return texts
