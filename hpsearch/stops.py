"""When a run shall stop: by Ctrl-C or SIGTERM, or because its time is up."""

import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from hpsearch import interrupt

_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Stop:
    """A context. Inside it a first signal asks to stop soon, a second one stops at once.

    hours: after which to stop soon, from entering on. Calling it tells whether to stop.
    """

    def __init__(self, hours: float | None = None) -> None:
        self._hours, self._deadline = hours, math.inf
        self.signalled = False
        self._before: dict[signal.Signals, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        interrupt.withdraw()
        if self._hours is not None:
            self._deadline = time.monotonic() + 3600 * self._hours
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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self():  # it stops already: now at once
            self.signalled = True
            raise KeyboardInterrupt
        self.signalled = True
        interrupt.request()
