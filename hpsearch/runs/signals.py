"""When a run must stop: by Ctrl-C or SIGTERM, or because its time is up."""

import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from hpsearch.core import interrupt
from hpsearch.core.errors import DeviceError, HpsearchError
from hpsearch.core.trial import Facts
from hpsearch.executors import Executor

# A run takes at most so many seconds, or such a share of its hours, longer than its hours.
_GRACE = 5.0
_GRACE_SHARE = 0.02
_TO_EXIT = 4.0  # seconds of these, for the ranking and the exit, on a busy machine too
_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class StoppedAtOnce(KeyboardInterrupt):
    """A second signal stopped a run that was stopping already."""


class StopCondition:
    """A context that says when to stop. A first signal stops soon, a second one stops at once.

    Args:
        hours: after which to stop soon.
        began: since when they count, in seconds since 1970. None: from now on.
        most_grace: seconds that it may take longer, at most.
    """

    def __init__(
        self,
        hours: float | None = None,
        began: float | None = None,
        most_grace: float = math.inf,
    ) -> None:
        self.hours, self._deadline, self._end = hours, math.inf, math.inf
        if hours is not None:
            gone = 0.0 if began is None else max(0.0, time.time() - began)
            self._deadline = time.monotonic() + 3600 * hours - gone
            grace = min(most_grace, max(_GRACE, _GRACE_SHARE * 3600 * hours))
            self._end = self._deadline + grace - _TO_EXIT
        self.is_signalled = False
        self._before: dict[signal.Signals, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        interrupt.withdraw()
        interrupt.request_at(self._deadline)  # for what trains in this process
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        interrupt.withdraw()

    def should_stop(self) -> bool:
        """Whether to begin nothing more, and let running trials stop at the end of their epoch."""
        return self.is_signalled or self.seconds_left() <= 0

    def is_overdue(self) -> bool:
        """Whether to give up what still runs, though it had time to end its epoch."""
        return self.seconds_until_overdue() <= 0

    def seconds_left(self) -> float:
        """Until the hours are over; infinite where there is no limit."""
        return self._deadline - time.monotonic()

    def seconds_until_overdue(self) -> float:
        return self._end - time.monotonic()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.should_stop():  # it is stopping already, and this signal is the second wish
            self.is_signalled = True
            raise StoppedAtOnce
        self.is_signalled = True
        interrupt.request()


def open_in_time(executor: Executor, stop: StopCondition) -> Facts:
    """Open an executor. Raises HpsearchError where loading takes longer than the hours."""
    if stop.hours is None:
        return executor.open()
    timer = threading.Timer(max(0.0, stop.seconds_until_overdue()), executor.close)
    timer.daemon = True
    timer.start()
    try:
        return executor.open()
    except HpsearchError as error:
        if not stop.is_overdue() or isinstance(error, DeviceError):
            raise
        timer.join()  # until the workers are gone, not only told
        raise HpsearchError(
            f"loading the study and trying its models took longer than --hours {stop.hours:g}; "
            "allow more hours"
        ) from error
    finally:
        timer.cancel()
