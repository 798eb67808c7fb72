"""What a trial takes in seconds, and so how short a training may be."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.core.trial import Cost

_LAST = 64  # trials, the last ones, from which seconds are estimated
# Seconds that a trial is expected to take before it trains: programs are compiled, and the more
# there are, the fewer trials share one.
_EXPECTED_BEFORE = 1.0
_WEIGHT_OF_EXPECTED = 0.1  # a trial's is 1


@dataclass(slots=True)
class TrialSeconds:
    """Learns what a trial takes whatever its epochs, and what each epoch takes.

    Building models, asking, and handing trials to a worker take as long for one epoch as for many.
    Where networks are small, that is more than the training.

    Args:
        expected: seconds of an epoch, before any trial showed them; 0: not known.
    """

    expected: float = 0.0
    _seen: dict[int, tuple[int, float]] = field(default_factory=dict)  # epochs, seconds; by trial

    def record(self, trial: int, epochs: int, cost: Cost | None) -> None:
        """Note what a trial of so many epochs took; nothing where it failed, or nobody measured."""
        if cost is not None and epochs:
            # Its share of the call, without the wait for programs, which most trials need not.
            seconds = max(0.0, cost.elapsed / cost.together - cost.compile_seconds)
            self._seen[trial] = epochs, seconds

    def find_lowest_rung(self, levels: Sequence[int]) -> int:
        """The longest training that takes no longer than what a trial takes before it.

        A shorter one would save little time and say less.

        Args:
            levels: the epochs of the rungs.

        0, the first rung, where nobody knows what epochs take: none was expected, and trials of
        different lengths have not shown it.
        """
        seen = [(*self._seen[trial], 1.0) for trial in sorted(self._seen)[-_LAST:]]
        if self.expected:
            long = [(n, _EXPECTED_BEFORE + n * self.expected) for n in (levels[0], levels[-1])]
            seen += [(*each, _WEIGHT_OF_EXPECTED) for each in long]
        epochs, seconds, weights = np.array(seen, dtype=np.float64).reshape(-1, 3).T
        if len(seen) < 2 or epochs.min() == epochs.max():
            return 0
        mean_epochs, mean_seconds = np.average([epochs, seconds], axis=1, weights=weights)
        apart = epochs - mean_epochs
        of_epoch = max(0.0, float(np.sum(weights * apart * seconds) / np.sum(weights * apart**2)))
        before = max(0.0, float(mean_seconds - of_epoch * mean_epochs))
        return max([0, *(n for n, long in enumerate(levels) if of_epoch * long <= before)])
