"""Runs of a search: their plan, progress and end, for displays.

Nothing else depends on these rows: a search can be continued without them.
"""

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

from hpsearch.core.errors import StoreError
from hpsearch.core.plan import Budget, Plan, Rung
from hpsearch.core.trial import ProgressReport
from hpsearch.store.database import insert_rows
from hpsearch.store.file_lock import process_name
from hpsearch.store.store import Store

_LIVE = """
INSERT INTO live (search, trial, repeat, epochs, value, device, at)
VALUES (:search, :trial, :repeat, :epochs, :value, :device, :at)
ON CONFLICT (search, trial, repeat) DO UPDATE
SET epochs = excluded.epochs, value = excluded.value, device = excluded.device, at = excluded.at
"""

# Seconds without a sign of life after which a run counts as dead, if its lock cannot be read.
SILENT_SECONDS = 60.0

RunEnd = Literal["done", "stopped", "budget spent", "broken off"]
"""How a run ended. "stopped": by a signal; "broken off": by an error."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run of a search.

    Args:
        began, last_heard: seconds since 1970.
        ended: None where it has not ended, or was killed.
        events_before: how many events the journal had when the run began.
        alive: whether it ran when the store was read.
        overrides: options that it was given instead of the study file's values, by name; empty for
            runs of versions that did not write them.
        has_test: whether the data has test rows; True where such a version did not write it.
    """

    id: int
    workers: int
    plan: Plan
    budget: Budget
    began: float
    last_heard: float
    ended: RunEnd | None
    events_before: int
    alive: bool
    overrides: Mapping[str, Any] = field(default_factory=dict)
    has_test: bool = True


class Heartbeat:
    """A run's row in the store, which shows that it is alive. A context around the run.

    Set `end` once it is known how the run ends.
    """

    def __init__(
        self,
        store: Store,
        search: int,
        plan: Plan,
        budget: Budget,
        workers: int,
        overrides: Mapping[str, Any] = MappingProxyType({}),
        *,
        has_test: bool = True,
    ) -> None:
        self._db, self._search = store.db, search
        self.end: RunEnd = "broken off"
        now = time.time()
        planned = {
            "plan": asdict(plan),
            "budget": asdict(budget),
            "overrides": dict(overrides),
            "has_test": has_test,
            "owner": process_name(),
            "told_before": len(store.journal(search)),
        }
        row = {
            "search": search,
            "workers": workers,
            "planned": json.dumps(planned),
            "began": now,
            "heard": now,
        }

        def begin() -> int:
            # A search has one run at a time, so progress that an earlier run left is out of date.
            self._db.execute("DELETE FROM live WHERE search = :search", [{"search": search}])
            new = self._db.next_id("runs")
            insert_rows(self._db, "runs", {"id": new, **row})
            return new

        self._run = self._db.write(begin)

    def write(self, reports: Iterable[ProgressReport]) -> None:
        """Write that the run is alive, and how far its trials are."""
        now = time.time()
        live = [{"search": self._search, **asdict(reached), "at": now} for reached in reports]
        for row in live:
            del row["is_even"]

        def write_both() -> None:
            self._write_heard(now, None)
            self._db.execute(_LIVE, live)

        self._db.write(write_both)

    def _write_heard(self, at: float, ended: RunEnd | None) -> None:
        row = {"run": self._run, "at": at, "ended": ended}
        self._db.execute("UPDATE runs SET heard = :at, ended = :ended WHERE id = :run", [row])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        def end() -> None:
            self._write_heard(time.time(), self.end)
            self._db.execute("DELETE FROM live WHERE search = :search", [{"search": self._search}])

        with suppress(StoreError):  # a full disk has been reported already
            self._db.write(end)


def read_last_run(store: Store, search: int) -> RunRecord | None:
    """The last run of a search; None where only versions before 3 ran it."""
    return store.db.read(lambda: _read_last_run(store, search))


def _read_last_run(store: Store, search: int) -> RunRecord | None:
    found = store.db.query(
        "SELECT r.*, s.study FROM runs r JOIN searches s ON s.id = r.search "
        "WHERE r.search = :search ORDER BY r.id DESC LIMIT 1",
        search=search,
    ).records()
    if not found:
        return None
    (row,) = found
    planned: dict[str, Any] = json.loads(row["planned"])
    brackets = tuple(
        tuple(Rung(**rung) for rung in bracket) for bracket in planned["plan"].pop("brackets")
    )
    return RunRecord(
        row["id"],
        row["workers"],
        Plan(**planned["plan"], brackets=brackets),
        Budget(**planned["budget"]),
        row["began"],
        row["heard"],
        row["ended"],
        planned.get("told_before", 0),
        row["ended"] is None and _is_alive(store, row, planned.get("owner")),
        planned.get("overrides", {}),
        planned.get("has_test", True),
    )


def is_running(store: Store, search: int) -> bool:
    """Whether a run of a search is alive."""
    run = read_last_run(store, search)
    return run is not None and run.alive


def _is_alive(store: Store, row: Mapping[str, Any], process: str | None) -> bool:
    """Whether the process of a run that wrote no end still owns the study."""
    owner = store.db.find_owner(row["study"])
    if owner is not None and process is not None:
        return owner == process
    # Clocks count only where the lock cannot be read. They may jump: a last sign of life in the
    # future proves as little as one of long ago.
    return owner != "" and abs(time.time() - row["heard"]) < SILENT_SECONDS
