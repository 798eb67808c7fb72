"""How many trials to begin before a deadline, so that what is begun also ends."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_ASSUMED = 30.0  # seconds of the run that a trial takes, until the first has ended


@dataclass(slots=True)
class Pace:
    """What the trials of this run take, and whether one more ends before the run does.

    A trial's cost is the run's time for each trial that ended so far, side by side and with all that
    was compiled for them; it grows with the epochs, and never falls with them, because a short trial
    is compiled like a long one. Until one has ended little is begun where little time is left.

    left: seconds until the deadline, infinite where there is none.
    """

    left: Callable[[], float] = lambda: math.inf
    clock: Callable[[], float] = time.monotonic
    _begun: float | None = None
    _last: float = 0.0
    _epochs: list[int] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)

    def begin(self) -> None:
        """Note that trials are submitted now."""
        if self._begun is None:
            self._begun = self.clock()

    def end(self, epochs: int, seconds: float) -> None:
        """Note that a trial is complete. epochs: trained for it; seconds: its own or its share."""
        self._last = self.clock()
        self._epochs.append(epochs)
        self._seconds.append(seconds)

    def allows(self, running: Sequence[int], epochs: int) -> bool:
        """Whether a trial of so many epochs would end in time, beside those that run with theirs."""
        left = self.left()
        if math.isinf(left):
            return True
        if self._begun is None or not self._epochs:
            return not running or (len(running) + 1) * _ASSUMED <= left
        usual = statistics.fmean(self._epochs)
        each = (self._last - self._begun) / len(self._epochs)
        all_ended = each * sum(max(1.0, e / usual) for e in [*running, epochs])
        alone = statistics.fmean(self._seconds) * max(1.0, epochs / usual)
        return max(all_ended, alone) <= left
