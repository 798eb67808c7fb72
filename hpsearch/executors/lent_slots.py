"""What one run knows of the slots that it shares with others: those that it holds at the moment.

`BrokerOfSlots` (`lending.py`) decides in another process; what carries the messages is not known
here.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hpsearch.executors.devices import Device


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run could do with slots now.

    Args:
        pending: jobs that wait for a worker.
        idle: the slots that it holds and has no job for.
        could_use_more: whether it would ask for more jobs if it held more slots.
    """

    pending: int = 0
    idle: frozenset[int] = frozenset()
    could_use_more: bool = False


Tell = Callable[[str, object], None]
"""Sends the lender a message: "demand" (a `Demand`), "returned" (a slot), "started" (the seconds
that a worker took to start)."""


class LentSlots:
    """The slots that a run holds. A slot is known by its place among all.

    `lend -> (recall) -> give_back -> lend -> ...`, for each slot. Any thread may call its methods.

    Args:
        devices: those of all slots, as the lender found them.
        tell: sends the lender a message.
    """

    def __init__(self, devices: Sequence[Device], tell: Tell = lambda kind, content: None) -> None:
        self.devices, self._tell = list(devices), tell
        self.on_recall: Callable[[int], None] = lambda place: None
        self.describe: Callable[[], Demand] = Demand
        self._changed = threading.Condition()
        self._held: set[int] = set()
        self._recalled: set[int] = set()
        self._closed = False
        self._last: Demand | None = None
        self._seconds, self._since = 0.0, 0.0

    @classmethod
    def own(cls, devices: Sequence[Device], count: int) -> "LentSlots":
        """So many slots that nobody takes back."""
        made = cls(devices)
        for place in range(count):
            made.lend(place)
        return made

    @property
    def usable(self) -> frozenset[int]:
        """The slots that it holds and that were not recalled."""
        with self._changed:
            return frozenset(self._held - self._recalled)

    def lend(self, place: int) -> None:
        with self._changed:
            if not self._closed and not self._held:
                self._since = time.monotonic()
            if not self._closed:
                self._held.add(place)
            self._changed.notify_all()
        if self._closed:  # it was on its way when they were closed
            self._tell("returned", place)

    def recall(self, place: int) -> None:
        """Ask for a slot back: its jobs stop at the end of their epoch, with a checkpoint."""
        with self._changed:
            self._recalled.add(place)
        self.on_recall(place)

    def is_recalled(self, place: int) -> bool:
        return place in self._recalled

    def give_back(self, place: int) -> None:
        with self._changed:
            self._held.discard(place)
            self._recalled.discard(place)
            if not self._held:
                self._seconds += time.monotonic() - self._since
        self._tell("returned", place)

    def wait_for(self, place: int) -> bool:
        """Wait until a slot is lent; False once these slots are closed."""
        with self._changed:
            self._changed.wait_for(lambda: place in self._held or self._closed)
            return not self._closed

    def wait_for_any(self) -> int | None:
        """Wait until a slot is lent, and return it; None once these slots are closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._closed)
            return None if self._closed else min(self._held)

    def close(self) -> None:
        """Need none any more; those that it holds are given back by `give_all_back`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def give_all_back(self) -> None:
        """Give back all slots, once nothing runs on them."""
        self.tell_demand()  # first: none of them should be lent here again
        for place in sorted(self._held):
            self.give_back(place)

    def note_start(self, seconds: float) -> None:
        """Tell the lender how long a worker took to start."""
        self._tell("started", seconds)

    def tell_demand(self) -> None:
        """Tell the lender what this run could do with slots, if that has changed."""
        if (demand := self.describe()) != self._last:
            self._last = demand
            self._tell("demand", demand)

    def clock(self) -> float:
        """The seconds for which it has held slots so far."""
        with self._changed:
            running = time.monotonic() - self._since if self._held else 0.0
            return self._seconds + running
