"""Reads minibatches in threads, some ahead of the one that is trained on."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_THREADS = 4
_MOST_GROUPS = 8  # that are read ahead
_MOST_BYTES = 2**28  # likewise, beside the group that is used
_GROUP_BYTES = 2**22  # small minibatches are read together up to this size: a call costs time too
_MOST_IN_GROUP = 16  # minibatches


class ReadAhead:
    """Reads minibatches that are asked for one after the other before they are asked for.

    A thread reads a group of small minibatches in one call. Which ones are a group depends on
    their size alone, so that rows are read together in the same way whenever a fit is continued.

    Args:
        read: (start, stop) -> the minibatches with these numbers; called by several threads.
        batches: how many there are.
        batch_bytes: what reading one takes.
    """

    def __init__(
        self, read: Callable[[int, int], Sequence[Any]], batches: int, batch_bytes: int
    ) -> None:
        self._read = read
        self._starts = list_group_starts(batches, batch_bytes)
        self._ends = [*self._starts[1:], batches]
        largest = batch_bytes * max(map(int.__sub__, self._ends, self._starts))
        self._ahead = min(_MOST_GROUPS, max(1, _MOST_BYTES // max(1, largest)))
        self._pending: dict[int, Future[Sequence[Any]]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, "read-ahead")  # starts no thread before it must
        self._lock = threading.Lock()  # TensorFlow asks in threads of its own

    def get(self, number: int) -> Any:
        """The minibatch with this number; raises what reading it raised."""
        group = bisect_right(self._starts, number) - 1
        with self._lock:
            wanted = range(group, min(group + 1 + self._ahead, len(self._starts)))
            self._forget(lambda each: each not in wanted)
            for each in wanted:
                if each not in self._pending:
                    self._pending[each] = self._pool.submit(
                        self._read, self._starts[each], self._ends[each]
                    )
            future = self._pending[group]
        return future.result()[number - self._starts[group]]

    def forget(self) -> None:
        """Forget what was read: the minibatches are others from now on."""
        with self._lock:
            self._forget(lambda each: True)

    def close(self) -> None:
        """Wait until no thread reads any more; RuntimeError for whoever asks later."""
        self.forget()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self, is_old: Callable[[int], bool]) -> None:
        for group in [each for each in self._pending if is_old(each)]:
            self._pending.pop(group).cancel()


def list_group_starts(batches: int, batch_bytes: int) -> list[int]:
    """The first minibatch of each group.

    The first groups are small, so that training begins soon.

    >>> list_group_starts(40, 2**20)
    [0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 36]
    """
    most = min(_MOST_IN_GROUP, max(1, _GROUP_BYTES // max(1, batch_bytes)))
    starts: list[int] = []
    start = 0
    while start < batches:
        size = min(most, 2 ** (len(starts) // _THREADS))
        starts.append(start)
        start += size
    return starts
