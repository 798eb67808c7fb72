"""How many trials to begin before a deadline, so that those that begin also end."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_ASSUMED_SECONDS = 30.0  # that trials side by side take, until the first one has ended


@dataclass(slots=True)
class DeadlineEstimate:
    """Estimates, from the trials of this run, whether one more would end before the deadline.

    A trial's cost is the run's time divided by the number of trials that ended: trials run side by
    side, and compiling is part of their cost. The cost grows with a trial's epochs. It does not
    shrink with them, because a short trial is compiled like a long one. Until a trial has ended,
    few begin where little time is left.

    Args:
        seconds_left: returns the seconds until the deadline; infinite where there is none.
        together: how many trials a worker trains side by side. So many are assumed to take no longer
            than one, until one has ended.
        clock: returns the time in seconds.
    """

    seconds_left: Callable[[], float] = lambda: math.inf
    together: int = 1
    clock: Callable[[], float] = time.monotonic
    _first_start: float | None = None
    _last_end: float = 0.0
    _epochs: list[int] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)

    def record_start(self) -> None:
        """Note that trials are submitted now."""
        if self._first_start is None:
            self._first_start = self.clock()

    def record_end(self, epochs: int, seconds: float) -> None:
        """Note that a trial is complete. epochs: trained for it; seconds: its own or its share."""
        self._last_end = self.clock()
        self._epochs.append(epochs)
        self._seconds.append(seconds)

    def allows(self, running: Sequence[int], epochs: int) -> bool:
        """Whether a trial would end in time beside the running ones.

        Args:
            running: the epochs that each running trial trains.
            epochs: those that the new one trains.
        """
        left = self.seconds_left()
        if math.isinf(left):
            return True
        if self._first_start is None or not self._epochs:
            calls = -(-(len(running) + 1) // self.together)
            return not running or calls * _ASSUMED_SECONDS <= left
        mean_epochs = statistics.fmean(self._epochs)
        cost = (self._last_end - self._first_start) / len(self._epochs)
        # The time until all have ended, at the rate of this run so far ...
        all_end = cost * sum(max(1.0, e / mean_epochs) for e in [*running, epochs])
        # ... and the time that the trial takes by itself, which no number of workers shortens.
        alone = statistics.fmean(self._seconds) * max(1.0, epochs / mean_epochs)
        return max(all_end, alone) <= left
