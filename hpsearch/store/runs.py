"""Who searches now, what they plan and how far they are, for those who look on.

Nothing depends on it: a journal is whole without.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from typing import Any, Literal, Self

from hpsearch.budget import Budget, Plan, Rung
from hpsearch.errors import StoreError
from hpsearch.store.journal import Store, insert, transaction
from hpsearch.trial import Reached

GONE = 60.0  # seconds after which a run that says nothing is taken to be dead

End = Literal["done", "stopped", "budget spent", "broken off"]
"""How a run ended; stopped: by a signal."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run of a search. began, heard: seconds since 1970. ended: None where it has not."""

    id: int
    workers: int
    plan: Plan
    budget: Budget
    began: float
    heard: float
    ended: End | None

    def alive(self, now: float) -> bool:
        return self.ended is None and now - self.heard < GONE


class Signs:
    """The signs of life of a run: a context in which it runs. end: how, once that is known."""

    def __init__(self, store: Store, search: int, plan: Plan, budget: Budget, workers: int) -> None:
        self._db, self._search = store.db, search
        self.end: End = "broken off"
        planned = json.dumps({"plan": asdict(plan), "budget": asdict(budget)})
        now = time.time()
        with transaction(self._db):
            self._run = insert(
                self._db,
                "runs",
                search=search,
                workers=workers,
                planned=planned,
                began=now,
                heard=now,
            )

    def heard(self, some: Iterable[Reached]) -> None:
        """That it lives, and how far trials are."""
        now = time.time()
        with transaction(self._db):
            self._db.execute("UPDATE runs SET heard = ? WHERE id = ?", (now, self._run))
            for reached in some:
                self._db.execute(
                    "INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (self._search, *astuple(reached), now),
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(StoreError), transaction(self._db):  # a full disk has been told already
            self._db.execute(
                "UPDATE runs SET heard = ?, ended = ? WHERE id = ?",
                (time.time(), self.end, self._run),
            )
            self._db.execute("DELETE FROM live WHERE search = ?", (self._search,))


def last_run(store: Store, search: int) -> RunRecord | None:
    """The last run of a search; None of one that no run of this version went on with."""
    row = store.db.execute(
        "SELECT * FROM runs WHERE search = ? ORDER BY id DESC LIMIT 1", (search,)
    ).fetchone()
    if row is None:
        return None
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
    )
