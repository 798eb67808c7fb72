"""TensorBoard: a folder a trial, whose event file grows while it trains.

Written with TensorBoard's own record writer and messages, as its own writer would load TensorFlow.
"""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from hpsearch.core.trial import Outcome
from hpsearch.loggers.base import (
    LoggedSearch,
    LoggedTrial,
    TrialLogError,
    epoch_time,
    mean_curves,
    points_of,
    values_at_best,
)

EVENT_FILE = "events.out.tfevents.0.hpsearch"
_END_TAG = metadata.SESSION_END_INFO_TAG.encode()


def make_tool(folder: str) -> "TensorboardTool":
    """The tool of a log folder, which is made. Raises TrialLogError where that is not possible."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrialLogError(
            f"{folder} cannot be made: {error.strerror}; name another folder by --log"
        ) from error
    return TensorboardTool(Path(folder))


class TensorboardTool:
    """Logs trials as event files, by which TensorBoard shows scalars and the HParams tab."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}  # of trials that have not ended
        self._last: dict[int, dict[str, int]] = {}  # by trial and name, the last epoch

    def open(self, search: LoggedSearch) -> None:
        self._search = search
        self._runs = self._folder / safe_path_part(search.name)
        self._runs.mkdir(parents=True, exist_ok=True)
        # Searches of one study, and of other stores, have folders of their own.
        self._runs /= search.key[:12]

    def _file_of(self, trial: int) -> Path:
        return self._runs / f"trial {trial}" / EVENT_FILE

    def has_ended(self, trial: int) -> bool:
        file = self._file_of(trial)
        return file.exists() and _END_TAG in file.read_bytes()

    def begin_trial(self, trial: LoggedTrial, at: float | None = None) -> None:
        if trial.id in self._files:
            return
        path = self._file_of(trial.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self._files[trial.id], self._last[trial.id] = open(path, "ab"), {}
        at = time.time() if at is None else at
        if is_new:
            start = SessionStartInfo(group_name=str(trial.id), start_time_secs=at)
            for name, value in {"study": self._search.name, **trial.params}.items():
                set_hparam(start, name, value, is_text=isinstance(value, str))
            self._write(trial.id, Event(wall_time=at, file_version="brain.Event:2"))
            values = hparams_value(metadata.SESSION_START_INFO_TAG, session_start_info=start)
            self._write(trial.id, Event(wall_time=at, summary=Summary(value=values)))

    def log_epoch(self, trial: int, name: str, epoch: int, value: float, at: float) -> None:
        last = self._last[trial]
        if not last:  # of a run that was killed, the file may have later epochs
            self._restart(trial, epoch, at)
        if epoch > last.get(name, 0):
            last[name] = epoch
            self._write(trial, scalars_event(at, epoch, {name: value}))

    def _restart(self, trial: int, epoch: int, at: float) -> None:
        """Make readers forget what the file has from an epoch on."""
        restart = SessionLog(status=SessionLog.START)
        self._write(trial, Event(wall_time=at, step=epoch, session_log=restart))

    def end_trial(self, trial: LoggedTrial, outcome: Outcome, at: float) -> None:
        self.begin_trial(trial, outcome.started)
        # All curves anew, in order: epochs that ended faster than they are reported are missing.
        self._restart(trial.id, 1, at)
        for epoch, values in points_of(mean_curves(outcome, self._search.metric), {}):
            self._write(trial.id, scalars_event(epoch_time(outcome, epoch, at), epoch, values))
        if outcome.score is not None:
            best = values_at_best(outcome, self._search.metric)
            self._write(trial.id, scalars_event(at, outcome.score.best_epoch, best))
        status = api_pb2.STATUS_FAILURE if outcome.failure else api_pb2.STATUS_SUCCESS
        end = SessionEndInfo(status=status, end_time_secs=at)
        closing = hparams_value(metadata.SESSION_END_INFO_TAG, session_end_info=end)
        self._write(trial.id, Event(wall_time=at, summary=Summary(value=closing)))
        self._files.pop(trial.id).close()
        del self._last[trial.id]

    def close(self, at: float) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, trial: int, event: Any) -> None:
        file = self._files[trial]
        RecordWriter(file).write(event.SerializeToString())
        file.flush()


def safe_path_part(text: str) -> str:
    """A name that is valid as one part of a path on every system.

    >>> safe_path_part("trial 3 loss=a/b opt=..")
    'trial 3 loss=a_b opt=__'
    """
    safe = re.sub(r"[^\w =,.+()-]|\.(?!\d)", "_", text).strip()
    return safe.encode()[:150].decode(errors="ignore") or "_"  # a name has at most 255 bytes


def scalars_event(at: float, step: int, values: Mapping[str, float]) -> Any:
    """An event with a scalar for each name. at: seconds since 1970."""
    tagged = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    return Event(wall_time=at, step=step, summary=Summary(value=tagged))


def hparams_value(tag: str, **data: Any) -> list[Any]:
    """Summary values that hold plugin data of the HParams tab."""
    described = metadata.create_summary_metadata(HParamsPluginData(**data))
    return [Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)]


def set_hparam(start: Any, name: str, value: Any, *, is_text: bool) -> None:
    """Set a parameter's value in a SessionStartInfo."""
    if is_text:
        start.hparams[name].string_value = str(value)
    elif isinstance(value, bool):
        start.hparams[name].bool_value = value
    else:
        start.hparams[name].number_value = value


def write_events(path: Path, events: Iterable[Any]) -> None:
    """Write a new event file."""
    path.parent.mkdir(parents=True)
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for event in events:
            writer.write(event.SerializeToString())
