"""A study of several, and the process that runs it, as seen by the process that lends devices."""

import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from signal import Signals

from hpsearch.executors import Move
from hpsearch.executors.devices import Device
from hpsearch.executors.worker_process import ctrl_c_ignored, main_module_hidden
from hpsearch.runs.display import Display
from hpsearch.runs.lent_run import RunEnding, run_lent
from hpsearch.runs.options import RunOptions
from hpsearch.runs.sweep_studies import SweepStudy
from hpsearch.store import SearchMonitor


@dataclass(eq=False, slots=True)
class StudyProcess:
    """A study of the sweep, and the process that runs it."""

    study: SweepStudy
    options: RunOptions
    display: Display
    process: BaseProcess | None = None
    pipe: Connection | None = None
    name: str | None = None  # once it is loaded
    monitor: SearchMonitor | None = None
    ending: RunEnding | None = None

    def start(self, devices: Sequence[Device]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=run_lent,
            args=(theirs, self.options, devices, self.study.sent),
            name=f"hpsearch-{self.label}",
        )
        with main_module_hidden(), ctrl_c_ignored():
            self.process.start()
        theirs.close()

    @property
    def label(self) -> str:
        return self.name or self.study.label

    @property
    def is_loading(self) -> bool:
        return self.process is not None and self.name is None and self.ending is None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.ending is None

    def send(self, move: Move) -> None:
        assert self.pipe is not None
        with suppress(OSError):  # it has just ended
            self.pipe.send((move.kind, move.place))

    def describe_death(self, *, is_stopping: bool) -> RunEnding:
        """How its process ended that sent no ending.

        Args:
            is_stopping: whether it was asked to stop, which ends a process that only loads.
        """
        assert self.process is not None
        self.process.join()
        code = self.process.exitcode or 0
        if is_stopping and code == -Signals.SIGTERM:
            return RunEnding(was_stopped=True)
        how = Signals(-code).name if code < 0 else f"exit code {code}"
        return RunEnding(f"its process ended by itself ({how}); see what it printed")
