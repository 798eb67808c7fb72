"""Sources for tests: rows of arrays that come with a delay, are counted, or fail."""

import threading
import time

import numpy as np

from hpsearch import Source


class Rows(Source):
    """The rows of an array, or of several by input.

    Args:
        arrays: an array, or a dict of arrays by input.
        fail_at: a row that cannot be read once `fails` is true.
        delay: seconds that a call takes at most; calls end in another order than they began.

    Attributes:
        calls: the row numbers of each call.
        length: what `len` says; None: the truth.
    """

    def __init__(self, arrays, *, fail_at=None, delay=0.0):
        self.held, self.fail_at, self.delay = arrays, fail_at, delay
        self.calls, self.fails, self.length = [], True, None
        self._lock = threading.Lock()

    def __len__(self):
        held = self.held
        first = next(iter(held.values())) if isinstance(held, dict) else held
        return len(first) if self.length is None else self.length

    def rows(self, indices):
        with self._lock:
            self.calls.append(np.array(indices))
        if self.delay:
            time.sleep(self.delay * ((int(indices[0]) * 7) % 5) / 4)
        if self.fails and self.fail_at is not None and self.fail_at in indices:
            raise OSError("stale file handle")
        if isinstance(self.held, dict):
            return {name: array[indices] for name, array in self.held.items()}
        return self.held[indices]

    def count_reads(self):
        """How often each row was read."""
        return np.bincount(np.concatenate(self.calls), minlength=len(self))


def list_readers():
    """The threads that read ahead now."""
    return [each.name for each in threading.enumerate() if each.name.startswith("read")]
