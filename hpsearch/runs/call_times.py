"""How long a worker takes for several trials at once, and so how many at a time are best.

A worker is given trials by calls, and trains those of a call side by side where it can. Small models
side by side take little longer than one, large ones as long as one after the other. Measured, not
assumed: each trial that ends says what its call took (`core.trial.Cost`).
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hpsearch.core.trial import Cost

FIRST = 12  # trials at a time before any call is measured: the first results come soon

# A trial chosen beside others knows less than one chosen after them. On the surrogate of LCBench
# `Auto` needs 1.4 times as many epochs with eight in flight as with one, and 1.25 times with four:
# 8 ** (1 - 0.84) and 4 ** (1 - 0.84), by what 100 searches found after 10 and 20 full trainings.
_WORTH = 0.84

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_CALLS = 24  # the last ones, from which times are estimated: machines and trials change
# Before calls have differed, nothing tells what one more trial costs. It is then believed that about
# two seconds of a call do not depend on how many trials it has: so many short ones are tried
# soon, and of long ones no more than is known to pay. A few calls outweigh the belief.
_BELIEF, _FIXED_SECONDS = 0.02, 2.0


@dataclass(slots=True)
class _Call:
    """The trials of one call that have ended so far: their epochs by program, and the seconds."""

    together: int
    epochs: dict[str, list[int]] = field(default_factory=dict)
    elapsed: float = 0.0
    compiling: float = 0.0

    @property
    def ended(self) -> int:
        return sum(map(len, self.epochs.values()))

    @property
    def seconds(self) -> float:
        """Without the wait for programs, which the next call need not have."""
        return max(1e-3, self.elapsed - self.compiling)

    @property
    def terms(self) -> tuple[float, ...]:
        """What the seconds grow with: calls, trials, steps of programs, epochs of trials."""
        longest = sum(max(epochs) for epochs in self.epochs.values())
        return 1.0, float(self.together), float(longest), float(sum(map(sum, self.epochs.values())))


@dataclass(slots=True)
class CallTimes:
    """Estimates the seconds of a call from those of earlier ones, by least squares.

    It is told of outcomes in the order of the journal, so that a run that continues knows at once
    what the one before had measured.
    """

    _open: dict[str, _Call] = field(default_factory=dict)  # by device
    _first: _Call | None = None  # it warms its worker up, and counts only while no other is known
    _warm: set[str] = field(default_factory=set)  # devices whose worker did a call in this run
    _calls: deque[_Call] = field(default_factory=lambda: deque(maxlen=_CALLS))

    def record(self, device: str, epochs: int, cost: Cost | None) -> None:
        """Note that a trial ended.

        Args:
            device: the worker's, which is given one call after the other.
            epochs: that the trial trained.
        """
        if cost is None:
            return
        call = self._open.get(device)
        if call is None or call.together != cost.together or call.elapsed > cost.elapsed:
            call = self._open[device] = _Call(cost.together)  # the one before was interrupted
        call.epochs.setdefault(cost.program, []).append(epochs)
        call.elapsed, call.compiling = cost.elapsed, call.compiling + cost.compile_seconds
        if call.ended == call.together:
            del self._open[device]
            if device in self._warm:
                self._calls.append(call)
            else:
                self._warm.add(device)
                self._first = call

    def note_new_run(self) -> None:
        """From here on, new workers do the calls."""
        self._open.clear()
        self._warm.clear()

    def choose_together(self, most: int) -> int:
        """How many trials, 1 to `most`, a call should have so that a search gets on fastest.

        A call of n trials brings as much as n ** 0.84 that are chosen one after the other.
        """
        if not self._known_calls:
            return min(FIRST, most)
        fixed, each = self._estimate()
        # Step by step: calls of one size alone would never show what more trials cost.
        last = self._known_calls[-1].together
        sizes = [n for n in _SIZES if n <= min(most, 2 * last)]
        return max(sizes, key=lambda n: n**_WORTH / (fixed + each * n))

    @property
    def _known_calls(self) -> list[_Call]:
        return list(self._calls) or ([self._first] if self._first else [])

    def _estimate(self) -> tuple[float, float]:
        """Seconds of a usual call that do not depend on its trials' number, and those of each."""
        from scipy.optimize import nnls

        calls = self._known_calls
        terms = np.array([call.terms for call in calls])
        seconds = np.array([call.seconds for call in calls])
        trials, longest, epochs = terms[:, 1], terms[:, 2], terms[:, 3]
        # Every call counts by its relative error: the long ones do not decide alone.
        rows, wanted = terms / seconds[:, None], np.ones(len(seconds))
        last = calls[-1]
        call, trials_of_last, longest_of_last, epochs_of_last = last.terms
        belief = np.array(
            [[call, 0.0, longest_of_last, 0.0], [0.0, trials_of_last, 0.0, epochs_of_last]]
        )
        share = _FIXED_SECONDS / (_FIXED_SECONDS + last.seconds)
        believed = last.seconds * np.array([share, 1.0 - share])
        found, _ = nnls(
            np.vstack([rows, _BELIEF * belief / believed[:, None]]),
            np.concatenate([wanted, [_BELIEF] * 2]),
        )
        usual = float(np.median(longest)), float(np.median(epochs / trials))
        return found[0] + found[2] * usual[0], found[1] + found[3] * usual[1]
