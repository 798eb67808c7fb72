"""Send what happens in a search to the tools that log it, from threads of their own.

A tool may be slow, may hang, and may fail: the search goes on as if it were not there.
"""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from hpsearch.core.errors import first_line
from hpsearch.core.files import hide_secrets
from hpsearch.core.trial import Outcome, ProgressReport
from hpsearch.loggers.base import LoggedSearch, LoggedTrial, TrialTool, name_curves
from hpsearch.loggers.places import LogPlace

_MOST_WAITING = 1000  # calls of a tool; beyond them, epochs wait for the end of their trial
_WAIT_SECONDS = 60.0  # for a slow tool, when the run ends; at most
_LEAST_WAIT = 5.0  # also where the hours are over
_WAIT_AFTER_HOURS = 40.0  # a sweep kills what has not ended 50 seconds after its hours

Say = Callable[[str], object]
FindTrial = Callable[[int], LoggedTrial | None]
"""Gives a trial by its number in the search; None where it is not known yet."""


class LogSender:
    """Takes progress and outcomes from any thread, and passes them on to tools.

    Args:
        tools: each with its place.
        say: shows the user one line; called by `poll` and `close` alone.
    """

    def __init__(self, tools: Iterable[tuple[LogPlace, TrialTool]], say: Say) -> None:
        self._threads = [_ToolThread(place, tool) for place, tool in tools]
        self._say = say
        self._find: FindTrial = lambda number: None
        self._metric = ""
        self._last: dict[int, tuple[int, bool]] = {}

    def begin(
        self,
        search: LoggedSearch,
        find: FindTrial,
        ended: Sequence[tuple[LoggedTrial, Outcome]] = (),
    ) -> None:
        """Begin with a search.

        Args:
            ended: trials that ended before this run; those that a tool lacks are logged now.
        """
        self._find, self._metric = find, search.metric
        for thread in self._threads:
            thread.start(search, ended)

    def report(self, reached: ProgressReport) -> None:
        """Take a report of a running trial; those of repeats are not logged."""
        trial = self._find(reached.trial) if self._threads and not reached.repeat else None
        if trial is None or reached.value is None:
            return
        epoch = int(reached.epochs)
        if epoch < 1 or self._last.get(reached.trial) == (epoch, reached.is_even):
            return
        self._last[reached.trial] = (epoch, reached.is_even)
        # Where folds are at different epochs, their mean is no value of the trial's curve.
        name = name_curves(self._metric)["validation"]
        if not reached.is_even:
            name = f"progress/{self._metric}"
        for thread in self._threads:
            thread.log_epoch(trial, name, epoch, reached.value)

    def end_trial(self, trial: LoggedTrial, outcome: Outcome) -> None:
        """Take a trial that ended."""
        for thread in self._threads:
            thread.end_trial(trial, outcome)

    def poll(self) -> None:
        """Show what failed since."""
        for thread in self._threads:
            if (message := thread.take_message()) is not None:
                with suppress(OSError):
                    self._say(message)

    def close(self, seconds_left: float = math.inf, *, at_once: bool = False) -> None:
        """Wait until the tools have all, for a minute at most.

        Args:
            seconds_left: of the run's hours, which a slow tool must not stretch; negative once they
                are over.
            at_once: whether the user waits for nothing any more.
        """
        for thread in self._threads:
            thread.ask_to_end()
        deadline = time.monotonic() + (0.0 if at_once else seconds_to_wait(seconds_left))
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        self.poll()


def seconds_to_wait(seconds_left: float) -> float:
    """How long a run waits for slow tools at its end, so long before the end of its hours.

    >>> seconds_to_wait(float("inf")), seconds_to_wait(-10.0), seconds_to_wait(-500.0)
    (60.0, 30.0, 5.0)
    """
    return min(_WAIT_SECONDS, max(_LEAST_WAIT, seconds_left + _WAIT_AFTER_HOURS))


class _ToolThread:
    """One tool and the thread that calls it."""

    def __init__(self, place: LogPlace, tool: TrialTool) -> None:
        self._place, self._tool = place, tool
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._message: str | None = None
        self._has_warned = self._is_open = False
        self._thread = threading.Thread(target=self._run, name=f"log {place.tool}", daemon=True)

    def start(self, search: LoggedSearch, ended: Sequence[tuple[LoggedTrial, Outcome]]) -> None:
        def open_tool() -> None:
            self._tool.open(search)
            self._is_open = True

        self._calls.put(open_tool)
        for trial, outcome in ended:
            self._calls.put(partial(self._add_missing, trial, outcome))
        self._thread.start()

    def _add_missing(self, trial: LoggedTrial, outcome: Outcome) -> None:
        if not self._tool.has_ended(trial.id):
            self._tool.end_trial(trial, outcome, self._ended_at(outcome))

    @staticmethod
    def _ended_at(outcome: Outcome) -> float:
        return time.time() if outcome.started is None else outcome.started + outcome.seconds

    def log_epoch(self, trial: LoggedTrial, name: str, epoch: int, value: float) -> None:
        if self._calls.qsize() > _MOST_WAITING:
            return
        at = time.time()

        def log() -> None:
            if trial.id in self._ended:  # a late report would begin it again
                return
            if trial.id not in self._begun:
                self._begun.add(trial.id)
                self._tool.begin_trial(trial)
            self._tool.log_epoch(trial.id, name, epoch, value, at)

        self._calls.put(log)

    def end_trial(self, trial: LoggedTrial, outcome: Outcome) -> None:
        at = time.time()

        def end() -> None:
            self._ended.add(trial.id)
            self._tool.end_trial(trial, outcome, at)

        self._calls.put(end)

    def ask_to_end(self) -> None:
        at = time.time()
        self._calls.put(lambda: self._tool.close(at))
        self._calls.put(None)

    def join(self, seconds: float) -> None:
        if not self._thread.ident:  # the run ended before it began with a search
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._warn(
                f"--log {self._place} is too slow: {self._calls.qsize()} of its entries are not "
                "logged; the next run of the study adds them"
            )

    def take_message(self) -> str | None:
        """The message to show, once."""
        message, self._message = self._message, None
        return message

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                # Where it did not open, nothing else of it works either.
                if self._is_open or not self._has_warned:
                    call()
            except BaseException as error:  # tools raise what they like, also SystemExit
                self._warn(
                    f"--log {self._place} fails: {hide_secrets(first_line(error))}; the search goes "
                    "on, and later errors of it are not shown"
                )

    def _warn(self, message: str) -> None:
        if not self._has_warned:
            self._has_warned, self._message = True, message
