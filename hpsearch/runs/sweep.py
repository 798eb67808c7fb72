"""Several studies at once: each runs in a process of its own, on devices that this one lends them.

This process starts no framework and runs no study's code. It passes messages between the runs and
the broker that shares the devices out, and shows how the studies stand.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hpsearch.core.errors import DeviceError, first_line
from hpsearch.executors import BrokerOfSlots, Demand, find_devices
from hpsearch.executors.device_locks import lock_devices
from hpsearch.executors.devices import Device, assign_slots
from hpsearch.runs.display import StudyStatus, SweepDisplay
from hpsearch.runs.lent_run import RunEnding
from hpsearch.runs.options import RunOptions
from hpsearch.runs.signals import StopCondition
from hpsearch.runs.study_process import StudyProcess
from hpsearch.runs.sweep_studies import SweepStudy, check_studies, refuse_same_name
from hpsearch.store import SearchMonitor, Store, monitor_search

_POLL_SECONDS = 0.1
_LOADING_AT_ONCE = 4  # studies that are imported at the same time
_TO_END = 50.0  # seconds after the hours until processes that have not ended are killed
_TO_END_AT_ONCE = 3.0  # the same after a second signal


@dataclass(frozen=True, slots=True)
class StudyResult:
    """How a study of several ended.

    Args:
        label: the study's name; the file's stem where it could not be loaded.
        search: its search in the store; None where none was begun.
        seconds: for which it held devices, one for each device.
        ending: how its run ended.
    """

    label: str
    file: Path | None
    search: int | None
    seconds: float
    ending: RunEnding

    @property
    def failed(self) -> bool:
        """Whether it could not run, or all of its trials failed."""
        return self.ending.error is not None or self.ending.all_failed


def run_sweep(
    studies: Sequence[SweepStudy], options: RunOptions, display: SweepDisplay
) -> list[StudyResult]:
    """Run several studies at once on the devices of `options`, shared out by weight.

    A study that cannot run stops alone. Returns how each study ended, in this order. Raises
    HpsearchError where the studies cannot run together, and KeyboardInterrupt where a second signal
    stopped them at once.

    Args:
        options: those of each run; its file is not used.
    """
    check_studies(studies)
    if options.inline:
        raise DeviceError("--inline trains one study; drop it, or name one study")
    if options.per_device is None:
        raise DeviceError("--per-device auto works for one study; give a number for several")
    began = time.time()
    devices = [] if options.ray is not None else find_devices(options.devices)
    with ExitStack() as opened:
        opened.enter_context(lock_devices(devices, display.show_line))
        runs = [
            StudyProcess(
                study,
                replace(options, file=study.file, source=study.source, began=began),
                display.make_display(study.label),
            )
            for study in studies
        ]
        sweep = _Sweep(runs, devices, options, display)
        opened.enter_context(sweep.closed_at_the_end())
        opened.enter_context(display.show_sweep())
        sweep.run()
        return sweep.results()


class _Sweep:
    """The runs of several studies, and the broker of their devices."""

    def __init__(
        self,
        runs: Sequence[StudyProcess],
        devices: Sequence[Device],
        options: RunOptions,
        display: SweepDisplay,
    ) -> None:
        self._runs, self._devices = runs, devices
        self._weights = [run.study.weight for run in runs]
        self._options, self._display = options, display
        slots = assign_slots(devices, options.per_device or 1)
        self._slot_names = [slot.name or "this machine" for slot in slots] or ["the Ray cluster"]
        hours = options.budget.hours
        self._broker = BrokerOfSlots(
            self._weights, len(self._slot_names), None if hours is None else 3600 * hours
        )
        self._stop = StopCondition(hours)
        self._store: Store | None = None
        self._was_shown = True

    def run(self) -> None:
        """Go on until all runs have ended."""
        is_stopping = False
        with self._stop:
            while any(run.ending is None for run in self._runs):
                self._start_some()
                self._take_messages()
                for move in self._broker.decide():
                    self._runs[move.run].send(move)
                self._refresh_display()
                if self._stop.is_signalled and not is_stopping:
                    is_stopping = True
                    self._ask_to_stop()
                if self._stop.seconds_left() < -_TO_END:
                    self._give_up()

    def _refresh_display(self) -> None:
        """Show how far the runs are. A store that cannot be read at this moment ends none of them."""
        try:
            self._display.refresh_sweep(self._describe_runs())
            self._was_shown = True
        except Exception as error:
            if self._was_shown:  # once for each outage
                self._display.show_line(f"progress cannot be shown: {first_line(error)}")
            self._was_shown = False

    def _start_some(self) -> None:
        """Start the next runs, unless enough are loading."""
        for number, run in enumerate(self._runs):
            if sum(other.is_loading for other in self._runs) >= _LOADING_AT_ONCE:
                return
            if run.process is not None or run.ending is not None:
                continue
            if self._stop.should_stop():
                run.ending = RunEnding("the hours were over before it began")
            elif self._options.ray is None:
                run.start(self._devices)
            elif not any(other.is_alive for other in self._runs):
                self._start_turn(number)

    def _start_turn(self, number: int) -> None:
        """Start a run that has the Ray cluster to itself, for its share of the hours left.

        Ray places workers by its own resources, for as long as a run has them. Several runs would
        take all of the cluster for the first one, and its GPUs could not be lent for a stretch.
        """
        run, budget = self._runs[number], self._options.budget
        if budget.hours is not None:
            share = self._weights[number] / sum(self._weights[number:])
            hours = share * self._stop.seconds_left() / 3600
            budget = replace(budget, hours=round(hours, 4) or hours)
        run.options = replace(run.options, budget=budget, began=time.time())
        run.start(self._devices)
        self._broker.note_demand(number, Demand(pending=1))

    def _take_messages(self) -> None:
        by_pipe = {run.pipe: run for run in self._runs if run.is_alive}
        if not by_pipe:
            return
        for pipe in wait([pipe for pipe in by_pipe if pipe is not None], _POLL_SECONDS):
            assert isinstance(pipe, Connection)
            run = by_pipe[pipe]
            try:
                while run.ending is None and pipe.poll(0):
                    self._take_message(run, *pipe.recv())
            except (EOFError, OSError):
                self._end(run, run.describe_death(is_stopping=self._stop.is_signalled))

    def _take_message(self, run: StudyProcess, kind: str, content: object) -> None:
        number = self._runs.index(run)
        match kind, content:
            case "loaded", str(name):
                run.name = name
                for other in self._runs:
                    if other is not run and other.name == name:
                        refuse_same_name(name, other.study, run.study)
            case "demand", Demand() as demand:
                self._broker.note_demand(number, demand)
            case "returned", int(place):
                self._broker.take_back(number, place)
            case "started", float(seconds):
                self._broker.note_start(seconds)
            case "search", (int(search), int() | None as planned):
                run.monitor = self._monitor(search)
                # Its own panel is not shown; this is how it learns of the metric.
                run.display.show_search(run.monitor, run.monitor.search.metric, planned).__enter__()
            case "ended", RunEnding() as ending:
                self._end(run, ending)
            case _, tuple(arguments):
                getattr(run.display, kind)(*arguments)

    def _monitor(self, search: int) -> SearchMonitor:
        if self._store is None:
            self._store = Store(self._options.store)
        return monitor_search(self._store, search)

    def _end(self, run: StudyProcess, ending: RunEnding) -> None:
        run.ending = ending
        self._broker.end(self._runs.index(run))
        if ending.error is not None:
            run.display.show_line(f"stopped: {ending.error}")

    def _ask_to_stop(self) -> None:
        """Have all runs stop as after Ctrl-C; those that only load end at once."""
        for run in self._runs:
            if run.process is None:
                run.ending = RunEnding(was_stopped=True)
            elif run.is_alive:
                run.process.terminate()

    def _give_up(self) -> None:
        """Kill the runs that have not ended long after the hours."""
        for run in self._runs:
            if run.process is not None and run.is_alive:
                run.process.kill()
                self._end(run, RunEnding("it did not end with the hours and was killed"))

    @contextmanager
    def closed_at_the_end(self) -> Iterator[None]:
        """End all processes, however the sweep ends."""
        try:
            yield
        finally:
            processes = [run.process for run in self._runs if run.process is not None]
            if any(run.is_alive for run in self._runs):  # a second signal, or an error
                for process in processes:
                    process.terminate()
            end = time.monotonic() + _TO_END_AT_ONCE
            for process in processes:
                process.join(max(0.0, end - time.monotonic()))
                process.kill()
                process.join()
            if self._store is not None:
                self._store.db.close()

    def _describe_runs(self) -> list[StudyStatus]:
        has_failed = [run.ending is not None and bool(run.ending.error) for run in self._runs]
        shares = share_among_living(self._weights, has_failed)
        return [
            StudyStatus(
                run.label,
                run.monitor,
                tuple(self._slot_names[place] for place in self._broker.held(number)),
                self._broker.spent(number),
                shares[number],
                _describe_state(run, holds_some=bool(self._broker.held(number))),
            )
            for number, run in enumerate(self._runs)
        ]

    def results(self) -> list[StudyResult]:
        return [
            StudyResult(
                run.label,
                run.study.file,
                run.monitor.search.id if run.monitor else None,
                self._broker.spent(number),
                run.ending or RunEnding(was_stopped=True),
            )
            for number, run in enumerate(self._runs)
        ]


def share_among_living(weights: Sequence[float], has_failed: Sequence[bool]) -> list[float]:
    """The share of each study by its weight among those that have not failed; 0 where it has.

    >>> share_among_living([2.0, 1.0, 1.0], [True, False, False])
    [0.0, 0.5, 0.5]
    """
    living = [0.0 if f else w for w, f in zip(weights, has_failed, strict=True)]
    total = sum(living) or 1.0
    return [weight / total for weight in living]


def _describe_state(run: StudyProcess, *, holds_some: bool) -> str:
    if run.ending is not None:
        return "failed" if run.ending.error else "ended"
    if run.name is None:
        return "loading"
    return "running" if holds_some else "waits for a device"
