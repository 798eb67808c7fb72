"""The journal: everything asked and told, appended before anything acts on it."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from hpsearch.errors import StoreError
from hpsearch.seeds import canonical
from hpsearch.store import rows
from hpsearch.store.records import Asked, SearchRecord, Told
from hpsearch.store.schema import connect, in_memory
from hpsearch.trial import Curve, Outcome, Pause, Score, Suggestion


class Store:
    """An open store; without a path, one in memory. `create` is for the one who runs a study; reading
    never writes.
    """

    def __init__(self, path: Path | None, *, create: bool = False) -> None:
        self.path = path
        self.db = in_memory() if path is None else connect(path, create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def searches(self, study: str | None = None) -> list[SearchRecord]:
        """The searches that are not retired, oldest first."""
        found = self.db.execute(
            "SELECT * FROM searches WHERE id NOT IN (SELECT search FROM retired) "
            "AND (:study IS NULL OR study = :study) ORDER BY id",
            {"study": study},
        )
        return [SearchRecord(**dict(row)) for row in found]

    def begin(self, record: SearchRecord, *, instead_of: Sequence[SearchRecord] = ()) -> "Journal":
        """Begin a search; those it stands instead of stay in the store but leave the rankings."""
        names = [field.name for field in fields(record) if field.name not in ("id", "began")]
        values = {name: getattr(record, name) for name in names} | {"began": time.time()}
        with transaction(self.db):
            new = insert(self.db, "searches", **values)
            for old in instead_of:
                self.db.execute("INSERT INTO retired VALUES (?, ?)", (old.id, new))
        assert new is not None
        return Journal(self.db, new)

    def journal(self, search: int) -> "Journal":
        return Journal(self.db, search)


class Journal:
    """The events of one search, in order. Each call is one transaction."""

    def __init__(self, db: sqlite3.Connection, search: int) -> None:
        self._db, self.search = db, search
        last = db.execute(
            "SELECT seq, answer FROM asked WHERE search = :s "
            "UNION ALL SELECT seq, NULL FROM told WHERE search = :s ORDER BY seq DESC LIMIT 1",
            {"s": search},
        ).fetchone()
        self._seq: int = last["seq"] if last else 0
        self._last: str | None = last["answer"] if last else None

    def asked(self, trial: int, answer: Suggestion | Pause) -> int | None:
        """Append an answer; returns the id by which people call the trial, if it is one.

        A pause that follows the same pause is no news and is not appended again: a run that was
        killed and continued leaves the journal of a run that never was.
        """
        if isinstance(answer, Pause):
            if self._last != answer.value:
                with transaction(self._db):
                    self._append("asked", trial=trial, answer=answer.value)
                self._last = answer.value
            return None
        with transaction(self._db):
            id_ = int(self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM asked").fetchone()[0])
            self._append(
                "asked",
                trial=trial,
                answer="suggest",
                id=id_,
                params=canonical(answer.params),
                epochs=answer.epochs,
                parent=answer.parent,
            )
        self._last = "suggest"
        return id_

    def told(self, trial: int, outcome: Outcome) -> None:
        """Append how a trial ended, with every fold's curves."""
        score = outcome.score
        with transaction(self._db):
            self._append(
                "told",
                trial=trial,
                value=score and score.value,
                se=score and score.se,
                **rows.outcome_columns(outcome),
            )
            self._insert_curves(trial, 0, score)
            self._forget(trial, 0)
        self._last = None

    def repeated(
        self, trial: int, repeat: int, outcome: Outcome, value: float | None, se: float | None
    ) -> None:
        """Append how a training with fresh seeds ended, and the value of all trainings so far."""
        with transaction(self._db):
            insert(
                self._db,
                "repeats",
                search=self.search,
                trial=trial,
                repeat=repeat,
                own=outcome.score and outcome.score.value,
                value=value,
                se=se,
                at=time.time(),
                **rows.outcome_columns(outcome),
            )
            self._insert_curves(trial, repeat, outcome.score)
            self._forget(trial, repeat)

    def _forget(self, trial: int, repeat: int) -> None:
        self._db.execute(
            "DELETE FROM live WHERE search = ? AND trial = ? AND repeat = ?",
            (self.search, trial, repeat),
        )

    def events(self) -> Iterator[Asked | Told]:
        """Everything so far, in order."""
        order = self._db.execute(
            "SELECT seq, 0 FROM asked WHERE search = :s UNION ALL "
            "SELECT seq, 1 FROM told WHERE search = :s ORDER BY seq",
            {"s": self.search},
        ).fetchall()
        for seq, told in order:
            table = "told" if told else "asked"
            row = self._db.execute(
                f"SELECT * FROM {table} WHERE search = ? AND seq = ?", (self.search, seq)
            ).fetchone()
            yield self._told(row) if told else _asked(row)

    def outcome(self, trial: int) -> Outcome | None:
        """How a trial ended; None while it runs."""
        row = self._db.execute(
            "SELECT * FROM told WHERE search = ? AND trial = ?", (self.search, trial)
        ).fetchone()
        return self._told(row).outcome if row else None

    def repeats(self, trial: int) -> set[int]:
        """The numbers, from 1, of a trial's repeats that have ended."""
        found = self._db.execute(
            "SELECT repeat FROM repeats WHERE search = ? AND trial = ?", (self.search, trial)
        )
        return {repeat for (repeat,) in found}

    def trainings(self, trial: int) -> list[Outcome]:
        """A told trial's first training, then its repeats; each with its own value."""
        first = self.outcome(trial)
        found = self._db.execute(
            "SELECT * FROM repeats WHERE search = ? AND trial = ? ORDER BY repeat",
            (self.search, trial),
        )
        repeats = [
            rows.outcome(row, row["own"], None, self._curves(trial, row["repeat"])) for row in found
        ]
        return [first, *repeats] if first else []

    def complete(self) -> int:
        """How many trials ended with a value."""
        counted = self._db.execute(
            "SELECT count(value) FROM told WHERE search = ?", (self.search,)
        ).fetchone()
        return int(counted[0])

    def failures(self) -> list[str]:
        """Kind and message of every trial that failed, oldest first."""
        found = self._db.execute(
            "SELECT failure, message FROM told WHERE search = ? AND failure IS NOT NULL "
            "ORDER BY seq",
            (self.search,),
        )
        return [f"{kind}: {message}" for kind, message in found]

    def _append(self, table: str, **values: Any) -> None:
        values = {"search": self.search, "seq": self._seq + 1, "at": time.time(), **values}
        try:
            insert(self._db, table, **values)
        except sqlite3.IntegrityError as error:
            raise StoreError(
                "another run writes to this search at the same time; this one stops, and nothing "
                "of the other is lost"
            ) from error
        self._seq += 1

    def _insert_curves(self, trial: int, repeat: int, score: Score | None) -> None:
        for columns in rows.curve_columns(score) if score else ():
            insert(self._db, "curves", search=self.search, trial=trial, repeat=repeat, **columns)

    def _told(self, row: sqlite3.Row) -> Told:
        curves = self._curves(row["trial"], 0)
        return Told(row["trial"], rows.outcome(row, row["value"], row["se"], curves))

    def _curves(self, trial: int, repeat: int) -> tuple[Curve, ...]:
        found = self._db.execute(
            f"SELECT {rows.CURVE_COLUMNS} FROM curves "
            "WHERE search = ? AND trial = ? AND repeat = ? ORDER BY fold",
            (self.search, trial, repeat),
        )
        return tuple(map(rows.curve, found))


def _asked(row: sqlite3.Row) -> Asked:
    if row["answer"] != "suggest":
        return Asked(row["trial"], Pause(row["answer"]))
    suggestion = Suggestion(json.loads(row["params"]), row["epochs"], row["parent"])
    return Asked(row["trial"], suggestion, row["id"])


def insert(db: sqlite3.Connection, table: str, **values: Any) -> int | None:
    """Insert a row; returns its number."""
    return db.execute(
        f"INSERT INTO {table} ({', '.join(values)}) "
        f"VALUES ({', '.join(f':{name}' for name in values)})",
        values,
    ).lastrowid


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of what is written inside, or nothing. Raises StoreError where it cannot be written."""
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if db.in_transaction:  # a full disk has ended it already
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"the store cannot be written ({error}); mend that, and the same command continues: "
            "what was told is kept"
        ) from error
