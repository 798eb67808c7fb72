"""When a run shall stop: by Ctrl-C or SIGTERM, or because its time is up."""

import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from hpsearch.core import interrupt
from hpsearch.core.errors import HpsearchError
from hpsearch.core.trial import Facts
from hpsearch.executors import Executor

_GRACE, _GRACE_SHARE = (
    5.0,
    0.02,
)  # a run takes no longer than so many seconds, or such a share, more
_TO_EXIT = 4.0  # seconds of these, for the ranking and the exit, on a busy machine too
_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Stop:
    """A context. Inside it a first signal asks to stop soon, a second one stops at once.

    Calling it tells whether to stop.

    Args:
        hours: after which to stop soon, from now on.
    """

    def __init__(self, hours: float | None = None) -> None:
        self.hours, self._deadline, self._end = hours, math.inf, math.inf
        if hours is not None:
            self._deadline = time.monotonic() + 3600 * hours
            self._end = self._deadline + max(_GRACE, _GRACE_SHARE * 3600 * hours) - _TO_EXIT
        self.signalled = False
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

    def __call__(self) -> bool:
        return self.signalled or self.overtime

    @property
    def overtime(self) -> bool:
        return time.monotonic() >= self._deadline

    def seconds_left(self) -> float:
        """Until it is time to stop; infinite where nothing limits it."""
        return self._deadline - time.monotonic()

    def overdue(self) -> bool:
        """Whether what still runs must be given up: it had a while to reach its next checkpoint."""
        return self.seconds_to_end() <= 0

    def seconds_to_end(self) -> float:
        """Until what still runs must be given up."""
        return self._end - time.monotonic()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self():  # it stops already: now at once
            self.signalled = True
            raise KeyboardInterrupt
        self.signalled = True
        interrupt.request()


def open_in_time(executor: Executor, stop: Stop) -> Facts:
    """Open it; raises HpsearchError where the hours are over before it has loaded the study."""
    if stop.hours is None:
        return executor.open()
    timer = threading.Timer(max(0.0, stop.seconds_to_end()), executor.close)
    timer.daemon = True
    timer.start()
    try:
        return executor.open()
    except HpsearchError as error:
        if not stop.overdue():
            raise
        raise HpsearchError(
            f"--hours {stop.hours:g}: to load the study and try its models took longer; give it more"
        ) from error
    finally:
        timer.cancel()
