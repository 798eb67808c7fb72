"""The present state of a search, for displays. It reads the store and never writes to it."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from hpsearch.core.trial import Failure
from hpsearch.store.rank import rank_searches
from hpsearch.store.records import SearchRecord
from hpsearch.store.rows import parse_point
from hpsearch.store.runs import RunRecord, read_last_run
from hpsearch.store.store import Store

_ASKED = """
SELECT seq, trial, id, params, epochs, parent FROM asked
WHERE search = :search AND seq > :last AND answer = 'suggest' ORDER BY seq
"""
_TOLD = """
SELECT seq, trial, value, se, epochs, seconds, failure, message, at FROM told
WHERE search = :search AND seq > :last ORDER BY seq
"""
_HIDDEN = "SELECT h.trial FROM hidden h JOIN asked a ON a.id = h.trial WHERE a.search = :search"


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """An unfinished trial, or an unfinished repeat of one.

    Args:
        trial: its id across the store.
        repeat: 0: the trial's first training.
        start_epoch: the epochs that it continues from.
        epochs: those that it will have in the end.
        reached: the epochs so far; None before the first report.
        value: the last value reported.
    """

    trial: int
    repeat: int
    params: dict[str, Any]
    start_epoch: int
    epochs: int
    reached: float | None = None
    value: float | None = None
    device: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields by their names in JSON documents."""
        return {_JSON_NAMES.get(name, name): value for name, value in asdict(self).items()}


_JSON_NAMES = {"start_epoch": "begun"}


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial that has ended, well or not."""

    trial: int
    params: dict[str, Any]
    epochs: int
    value: float | None
    se: float | None
    seconds: float
    failure: Failure | None


@dataclass(slots=True)
class RungProgress:
    """How many trials of a rung were asked for, and how many of these have ended."""

    asked: int = 0
    ended: int = 0


@dataclass(slots=True)
class SearchMonitor:
    """The state of a search; `refresh` reads what is new.

    Attributes:
        run: the last run of the search.
        running: unfinished trials, while a run is alive.
        waiting: unfinished trials, while no run is alive.
        best: the best trial that was not deleted, over all trainings where some were repeated.
        n_ended: how many trials have ended.
        epochs: trained by the trials that have ended.
        failures: how many trials failed, by kind.
        rungs: by the first epochs of a bracket and the epochs of the rung.
    """

    store: Store
    search: SearchRecord
    run: RunRecord | None = None
    running: list[RunningTrial] = field(default_factory=list)
    waiting: list[RunningTrial] = field(default_factory=list)
    best: EndedTrial | None = None
    n_ended: int = 0
    epochs: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    rungs: dict[tuple[int, int], RungProgress] = field(default_factory=dict)
    _endings: list[tuple[float, int, int]] = field(default_factory=list)  # time, seq, epochs
    _asked: dict[int, Any] = field(default_factory=dict)
    _open: dict[int, Any] = field(default_factory=dict)
    _begins: dict[int, int] = field(default_factory=dict)
    _repeated: set[tuple[int, int]] = field(default_factory=set)
    _hidden: set[int] = field(default_factory=set)  # ids of trials that were deleted
    _last_asked: int = 0
    _last_told: int = 0

    def refresh(self) -> list[EndedTrial]:
        """Read what is new; return the trials that have ended since the last refresh, in order."""
        return self.store.db.read(self._refresh)

    def _refresh(self) -> list[EndedTrial]:
        db, search = self.store.db, self.search.id
        self.run = read_last_run(self.store, search)
        live = db.query("SELECT * FROM live WHERE search = :search", search=search).records()
        ended = db.query(_TOLD, search=search, last=self._last_told).records()
        asked = db.query(_ASKED, search=search, last=self._last_asked).records()
        repeats = db.query(
            "SELECT trial, repeat FROM repeats WHERE search = :search", search=search
        )
        repeated = {(trial, repeat) for trial, repeat in repeats}
        hidden = {id_ for (id_,) in db.query(_HIDDEN, search=search)}
        must_rank = bool(repeated) and (bool(ended) or repeated != self._repeated)
        must_rank = must_rank or hidden != self._hidden
        best = self._best_over_all_trainings() if must_rank else None
        # The state changes only from here on: before this, `read` may run this method again.
        self._repeated, self._hidden = repeated, hidden
        for row in asked:
            self._add_asked(row)
            self._last_asked = row["seq"]
        new = [self._add_told(row) for row in ended]
        self._last_told = ended[-1]["seq"] if ended else self._last_told
        if must_rank:
            self.best = best
        self._refresh_running({(row["trial"], row["repeat"]): row for row in live})
        return new

    def _best_over_all_trainings(self) -> EndedTrial | None:
        """The first of the search's ranking."""
        first = next(iter(rank_searches(self.store, [self.search.id])), None)
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

    def epochs_left(self) -> int | None:
        """Epochs that the run still plans, within its budget; None where that is not known."""
        if self.run is None:
            return None
        known = []
        if (expected := self.run.plan.expected_epochs) is not None:
            known.append(expected - self.epochs)
        if self.run.budget.epochs is not None:
            known.append(self.run.budget.epochs - self.trained_by_run)
        return max(0, min(known)) if known else None

    @property
    def trained_by_run(self) -> int:
        """Epochs trained by the trials that ended in this run."""
        return sum(epochs for _, epochs in self.ended_in_run)

    @property
    def ended_in_run(self) -> list[tuple[float, int]]:
        """When each trial of this run ended, and the epochs that it trained."""
        before = self.run.events_before if self.run else 0
        return [(at, epochs) for at, seq, epochs in self._endings if self.run and seq > before]

    def epochs_underway(self) -> float:
        """Epochs trained so far by running trials."""
        return sum(
            max(0.0, (each.reached or each.start_epoch) - each.start_epoch)
            for each in self.running
            if not each.repeat
        )

    def _add_asked(self, row: Any) -> None:
        trial, parent = row["trial"], row["parent"]
        self._asked[trial] = self._open[trial] = row
        begins = row["epochs"] if parent is None else self._begins[parent]
        self._begins[trial] = begins
        self.rungs.setdefault((begins, row["epochs"]), RungProgress()).asked += 1

    def _start_epoch(self, trial: int) -> int:
        parent = self._asked[trial]["parent"]
        return 0 if parent is None else int(self._asked[parent]["epochs"])

    def _add_told(self, row: Any) -> EndedTrial:
        asked = self._open.pop(row["trial"])
        self.rungs[self._begins[row["trial"]], asked["epochs"]].ended += 1
        # At which epoch a trial failed is not known: all of its epochs count as trained.
        trained = (row["epochs"] or asked["epochs"]) - self._start_epoch(row["trial"])
        self.n_ended += 1
        self.epochs += trained
        self._endings.append((row["at"], row["seq"], trained))
        found = EndedTrial(
            asked["id"],
            parse_point(asked["params"]),
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

    def _is_best(self, ended: EndedTrial) -> bool:
        if ended.value is None or ended.trial in self._hidden:
            return False
        if self.best is None or self.best.value is None:
            return True
        return self.search.metric.best([self.best.value, ended.value]) == 1

    def _refresh_running(self, live: dict[tuple[int, int], Any]) -> None:
        keys = [(trial, 0) for trial in self._open]
        # Progress of a repeat may be written after it has ended: such rows are left out.
        keys += [
            k for k in sorted(live) if k[1] and k[0] in self._asked and k not in self._repeated
        ]
        found = [self._running_trial(*key, live.get(key)) for key in keys]
        alive = self.run is not None and self.run.alive
        self.running, self.waiting = (found, []) if alive else ([], found)

    def _running_trial(self, trial: int, repeat: int, live: Any) -> RunningTrial:
        asked = self._asked[trial]
        progress = (live["epochs"], live["value"], live["device"]) if live else (None, None, "")
        start = 0 if repeat else self._start_epoch(trial)
        return RunningTrial(
            asked["id"], repeat, parse_point(asked["params"]), start, asked["epochs"], *progress
        )


def monitor_search(store: Store, search: int) -> SearchMonitor:
    """A monitor that has not read anything yet. Raises StopIteration where there is no search."""
    return SearchMonitor(store, next(record for record in store.searches() if record.id == search))
