"""A search as it stands now, for those who look on; it reads, and writes nothing."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hpsearch.core.trial import Failure
from hpsearch.store.rank import ranking
from hpsearch.store.records import SearchRecord
from hpsearch.store.rows import point
from hpsearch.store.runs import RunRecord, last_run
from hpsearch.store.store import Store

_ASKED = """
SELECT seq, trial, id, params, epochs, parent FROM asked
WHERE search = :search AND seq > :last AND answer = 'suggest' ORDER BY seq
"""
_TOLD = """
SELECT seq, trial, value, se, epochs, seconds, failure, message, at FROM told
WHERE search = :search AND seq > :last ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that was asked and not told, or a repeat. epochs: those it shall have in the end.

    begun: those it began with. reached: so far; None where nothing was heard yet.
    """

    trial: int
    repeat: int
    params: dict[str, Any]
    begun: int
    epochs: int
    reached: float | None = None
    value: float | None = None
    device: str = ""


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial that ended."""

    trial: int
    params: dict[str, Any]
    epochs: int
    value: float | None
    se: float | None
    seconds: float
    failure: Failure | None


@dataclass(slots=True)
class Filling:
    """A rung as it fills: trials asked for and ended there."""

    asked: int = 0
    told: int = 0


@dataclass(slots=True)
class SearchMonitor:
    """A search from where it was last looked at.

    running: while a run is alive; else these trials are waiting for one.
    rungs: by the epochs with which a bracket begins, and those of the rung. epochs: trained so far
    by trials that ended. best: by one training each, and over all where some were repeated. ended:
    when each trial did, its place in the journal, and the epochs it trained.
    """

    store: Store
    search: SearchRecord
    run: RunRecord | None = None
    running: list[RunningTrial] = field(default_factory=list)
    waiting: list[RunningTrial] = field(default_factory=list)
    best: EndedTrial | None = None
    told: int = 0
    epochs: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    rungs: dict[tuple[int, int], Filling] = field(default_factory=dict)
    ended: list[tuple[float, int, int]] = field(default_factory=list)
    _asked: dict[int, Any] = field(default_factory=dict)
    _open: dict[int, Any] = field(default_factory=dict)
    _begins: dict[int, int] = field(default_factory=dict)
    _repeated: set[tuple[int, int]] = field(default_factory=set)
    _last_asked: int = 0
    _last_told: int = 0

    def refresh(self) -> list[EndedTrial]:
        """Take in what is new; returns the trials that ended since the last look, in their order."""
        return self.store.db.read(self._refresh)

    def _refresh(self) -> list[EndedTrial]:
        db, search = self.store.db, self.search.id
        self.run = last_run(self.store, search)
        live = db.query("SELECT * FROM live WHERE search = :search", search=search).records()
        told = db.query(_TOLD, search=search, last=self._last_told).records()
        asked = db.query(_ASKED, search=search, last=self._last_asked).records()
        repeats = db.query(
            "SELECT trial, repeat FROM repeats WHERE search = :search", search=search
        )
        repeated = {(trial, repeat) for trial, repeat in repeats}
        ranked_anew = bool(repeated) and (bool(told) or repeated != self._repeated)
        best = self._best_over_all_trainings() if ranked_anew else None
        # All is read. Before this nothing is changed, because the reading may be begun anew.
        self._repeated = repeated
        for row in asked:
            self._take_asked(row)
            self._last_asked = row["seq"]
        news = [self._take_told(row) for row in told]
        self._last_told = told[-1]["seq"] if told else self._last_told
        if ranked_anew:
            self.best = best
        self._refresh_running({(row["trial"], row["repeat"]): row for row in live})
        return news

    def _best_over_all_trainings(self) -> EndedTrial | None:
        """As it is ranked."""
        first = next(iter(ranking(self.store, [self.search.id])), None)
        if first is None:
            return None
        return EndedTrial(
            first.trial,
            dict(first.params),
            first.epochs,
            first.value,
            first.se,
            first.seconds,
            None,
        )

    def left(self) -> int | None:
        """Epochs that the run still plans, of its search and its budget; None: it is not known."""
        if self.run is None:
            return None
        known = []
        if self.run.plan.complete:
            known.append(self.run.plan.epochs - self.epochs)
        if self.run.budget.epochs is not None:
            known.append(self.run.budget.epochs - self.trained_by_run)
        return max(0, min(known)) if known else None

    @property
    def trained_by_run(self) -> int:
        """Epochs of the trials that ended in this run."""
        return sum(epochs for _, epochs in self.ended_in_run)

    @property
    def ended_in_run(self) -> list[tuple[float, int]]:
        """When each trial of this run ended, and the epochs it trained."""
        before = self.run.told_before if self.run else 0
        return [(at, epochs) for at, seq, epochs in self.ended if self.run and seq > before]

    def underway(self) -> float:
        """Epochs that running trials have trained so far."""
        return sum(
            max(0.0, (each.reached or each.begun) - each.begun)
            for each in self.running
            if not each.repeat
        )

    def _take_asked(self, row: Any) -> None:
        trial, parent = row["trial"], row["parent"]
        self._asked[trial] = self._open[trial] = row
        begins = row["epochs"] if parent is None else self._begins[parent]
        self._begins[trial] = begins
        self.rungs.setdefault((begins, row["epochs"]), Filling()).asked += 1

    def _begun(self, trial: int) -> int:
        parent = self._asked[trial]["parent"]
        return 0 if parent is None else int(self._asked[parent]["epochs"])

    def _take_told(self, row: Any) -> EndedTrial:
        asked = self._open.pop(row["trial"])
        self.rungs[self._begins[row["trial"]], asked["epochs"]].told += 1
        # A trial that failed is known to have ended, not where: its budget is spent.
        trained = (row["epochs"] or asked["epochs"]) - self._begun(row["trial"])
        self.told += 1
        self.epochs += trained
        self.ended.append((row["at"], row["seq"], trained))
        found = EndedTrial(
            asked["id"],
            point(asked["params"]),
            row["epochs"],
            row["value"],
            row["se"],
            row["seconds"],
            row["failure"] and Failure(row["failure"], row["message"]),
        )
        if found.failure is not None:
            self.failures[found.failure.kind] += 1
        elif not self._repeated and self._is_best(found):
            self.best = found
        return found

    def _is_best(self, told: EndedTrial) -> bool:
        if told.value is None:
            return False
        if self.best is None or self.best.value is None:
            return True
        return self.search.metric.best([self.best.value, told.value]) == 1

    def _refresh_running(self, live: dict[tuple[int, int], Any]) -> None:
        keys = [(trial, 0) for trial in self._open]
        # Progress may be written after a repeat has ended, and then is of nothing that runs.
        keys += [
            k for k in sorted(live) if k[1] and k[0] in self._asked and k not in self._repeated
        ]
        found = [self._running(*key, live.get(key)) for key in keys]
        alive = self.run is not None and self.run.alive
        self.running, self.waiting = (found, []) if alive else ([], found)

    def _running(self, trial: int, repeat: int, live: Any) -> RunningTrial:
        asked = self._asked[trial]
        heard = (live["epochs"], live["value"], live["device"]) if live else (None, None, "")
        begun = 0 if repeat else self._begun(trial)
        return RunningTrial(
            asked["id"], repeat, point(asked["params"]), begun, asked["epochs"], *heard
        )


def monitor_search(store: Store, search: int) -> SearchMonitor:
    """A search that has not been looked at yet. Raises StopIteration where there is none."""
    return SearchMonitor(store, next(record for record in store.searches() if record.id == search))
