"""Which of several runs that share devices holds which slot, decided by the time each had.

It is decided in the process that shares the devices out. `LentSlots` (`lent_slots.py`) is what one
run knows of that. Neither knows what carries their messages.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hpsearch.executors.lent_slots import Demand

LEAST_STRETCH = 30.0  # seconds that a slot is lent for, unless the time is short
_STARTS = 5.0  # times that a worker's start fits into a stretch: so much of it is spent on training
_LEAST_IDLE = 1.0  # seconds without a job after which a slot may be taken back
_UNUSED = 10.0  # seconds for which a run that used none of a slot is not offered another


@dataclass(frozen=True, slots=True)
class Move:
    """A slot that is lent to a run, or recalled from it."""

    kind: Literal["lend", "recall"]
    run: int
    place: int


@dataclass(slots=True)
class _Account:
    """A run that shares the slots."""

    weight: float
    spent: float = 0.0  # seconds of slots that it gave back
    demand: Demand = field(default_factory=Demand)
    ended: bool = False
    quiet_until: float = 0.0


@dataclass(slots=True)
class _LentSlot:
    """A slot, and the run that holds it."""

    run: int | None = None
    since: float = 0.0
    idle_since: float | None = None
    was_used: bool = False
    is_recalled: bool = False


class BrokerOfSlots:
    """Decides which run holds which slot, so that each gets its share of the time.

    A slot is lent for a stretch at least, so that starting a worker is a small part of it. A free
    one goes to the run that could use it and is furthest behind its share; so what one run does not
    use goes to the others. Where none is free, the run furthest ahead gives one back after its
    stretch. This is stride scheduling (Waldspurger and Weihl, 1995), with stretches of slots.

    Args:
        weights: of the runs.
        slots: how many there are.
        seconds: for which they are lent in all; None: without end.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        weights: Sequence[float],
        slots: int,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._seconds = clock, seconds
        self._end = None if seconds is None else clock() + seconds
        self._accounts = [_Account(weight) for weight in weights]
        self._slots = [_LentSlot() for _ in range(slots)]
        self._starts: list[float] = []

    @property
    def stretch(self) -> float:
        """Seconds for which a slot is lent at least.

        Each run gets two stretches of its share where the time is short.
        """
        wanted = max(LEAST_STRETCH, _STARTS * self._start)
        if self._seconds is None:
            return wanted
        living = sum(not account.ended for account in self._accounts)
        return min(wanted, self._seconds * len(self._slots) / max(1, living) / 2)

    @property
    def _start(self) -> float:
        """Seconds that a worker takes to start, by the last ones."""
        return statistics.fmean(self._starts[-8:]) if self._starts else 0.0

    def spent(self, run: int) -> float:
        """The seconds of slots that a run has held."""
        now = self._clock()
        return self._accounts[run].spent + sum(now - self._slots[p].since for p in self.held(run))

    def held(self, run: int) -> list[int]:
        """The slots that a run holds."""
        return [place for place, slot in enumerate(self._slots) if slot.run == run]

    def note_demand(self, run: int, demand: Demand) -> None:
        now = self._clock()
        self._accounts[run].demand = demand
        for place in self.held(run):
            slot = self._slots[place]
            if place not in demand.idle:
                slot.idle_since, slot.was_used = None, True
            elif slot.idle_since is None:
                slot.idle_since = now

    def note_start(self, seconds: float) -> None:
        self._starts.append(seconds)

    def take_back(self, run: int, place: int) -> None:
        """Note that a run gave a slot back."""
        slot, account, now = self._slots[place], self._accounts[run], self._clock()
        if slot.run != run:
            return
        account.spent += now - slot.since
        if not slot.was_used:
            account.quiet_until = now + _UNUSED
        self._slots[place] = _LentSlot()

    def end(self, run: int) -> None:
        """Note that a run has ended: it holds no slot any more."""
        for place in self.held(run):
            self.take_back(run, place)
        self._accounts[run].ended = True

    def decide(self) -> list[Move]:
        """What to lend and to recall now; noted as done."""
        now, moves = self._clock(), []
        for place, slot in enumerate(self._slots):
            if slot.run is None and (waiting := self._runs_that_could_use_one(now)):
                self._slots[place] = _LentSlot(waiting[0], since=now, idle_since=now)
                moves.append(Move("lend", waiting[0], place))
        recalled = sum(slot.is_recalled for slot in self._slots)
        for run in self._runs_that_could_use_one(now)[recalled:]:
            if (found := self._slot_to_recall(run, now)) is not None:
                slot = self._slots[found]
                slot.is_recalled = True
                assert slot.run is not None
                moves.append(Move("recall", slot.run, found))
        return moves

    def _runs_that_could_use_one(self, now: float) -> list[int]:
        """Runs that could use one more slot than they hold, the one furthest behind first."""
        found = []
        for run, account in enumerate(self._accounts):
            unused = sum(self._slots[p].idle_since is not None for p in self.held(run))
            curious = account.demand.could_use_more and now >= account.quiet_until
            if not account.ended and (account.demand.pending > unused or (curious and not unused)):
                found.append(run)
        # With what it will have when its stretches are over: of two that are equally far, the one
        # that was just lent a slot is ahead. Then in the order of the command.
        return sorted(found, key=lambda run: self._progress(run) + self._promised(run, now))

    def _progress(self, run: int) -> float:
        """How much of its share a run had, in seconds for a weight of one."""
        return self.spent(run) / self._accounts[run].weight

    def _promised(self, run: int, now: float) -> float:
        """What is left of the stretches of the slots that a run holds, in the same measure."""
        stretches = (self._slots[place].since + self.stretch - now for place in self.held(run))
        return sum(max(0.0, left) for left in stretches) / self._accounts[run].weight

    def _slot_to_recall(self, run: int, now: float) -> int | None:
        """The slot that a run should get from another one, if any."""
        others = [
            place
            for place, slot in enumerate(self._slots)
            if slot.run not in (None, run) and not slot.is_recalled
        ]
        # One that has not been used for as long as another start takes: its run may only be
        # choosing its next trials, and waiting for that must not cost more than the start.
        for place in others:
            idle_since = self._slots[place].idle_since
            if idle_since is not None and now - idle_since >= max(_LEAST_IDLE, self._start):
                return place
        # Too late for another start.
        if self._end is not None and self._end - now < self.stretch / 2:
            return None
        # One of the run furthest ahead. A run that holds as many slots as its share is must be
        # well behind, or slots would go back and forth for a small difference.
        behind = (
            2 * self.stretch / self._accounts[run].weight if self._holds_its_share(run) else 0.0
        )
        ready = [
            place
            for place in others
            if now - self._slots[place].since >= self._stretch_of(place, now)
            and self._progress_of_holder(place) > self._progress(run) + behind
        ]
        return max(ready, key=self._progress_of_holder, default=None)

    def _stretch_of(self, place: int, now: float) -> float:
        """Seconds for which a slot stays with its run: fewer where that has its whole share then."""
        if self._end is None:
            return self.stretch
        run = self._slots[place].run
        assert run is not None
        living = [n for n, account in enumerate(self._accounts) if not account.ended]
        left = max(0.0, self._end - now) * len(self._slots)
        total = left + sum(self.spent(n) for n in living)
        share = self._accounts[run].weight / sum(self._accounts[n].weight for n in living)
        # What it has yet to get, when it took the slot.
        owed = total * share - self.spent(run) + now - self._slots[place].since
        return min(self.stretch, max(owed, self.stretch / 3))

    def _progress_of_holder(self, place: int) -> float:
        run = self._slots[place].run
        assert run is not None
        return self._progress(run)

    def _holds_its_share(self, run: int) -> bool:
        """Whether a run holds as many slots as its weight among the living ones is worth."""
        living = sum(a.weight for a in self._accounts if not a.ended)
        return len(self.held(run)) >= len(self._slots) * self._accounts[run].weight / living
