"""The journal: everything asked and told, appended before anything acts on it."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from hpsearch.errors import StoreError
from hpsearch.seeds import canonical
from hpsearch.store.schema import connect, in_memory
from hpsearch.trial import Curve, Failure, Outcome, Pause, Score, Suggestion


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What a search is: the first five fields name it, the others must not change under it.

    searcher, evaluator: labels. measure: the metric as rankings compare it. data: fingerprint.
    space: JSON. training: JSON of what else decides a trial's value. versions: JSON.
    """

    study: str
    searcher: str
    evaluator: str
    seed: int
    backend: str
    task: str
    measure: str
    direction: str
    data: str
    space: str
    training: str
    file: str
    source: str
    versions: str
    began: float = 0.0
    id: int = 0

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        return self.study, self.searcher, self.evaluator, self.seed, self.backend


_CURVES = ("train", "validation", "train_loss", "validation_loss")


@dataclass(frozen=True, slots=True)
class Asked:
    trial: int
    answer: Suggestion | Pause
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    trial: int
    outcome: Outcome


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
        rows = self.db.execute(
            "SELECT * FROM searches WHERE id NOT IN (SELECT search FROM retired) "
            "AND (:study IS NULL OR study = :study) ORDER BY id",
            {"study": study},
        )
        return [SearchRecord(**dict(row)) for row in rows]

    def begin(self, record: SearchRecord, *, instead_of: Sequence[SearchRecord] = ()) -> "Journal":
        """Begin a search; those it stands instead of stay in the store but leave the rankings."""
        names = [field.name for field in fields(record) if field.name not in ("id", "began")]
        values = {name: getattr(record, name) for name in names} | {"began": time.time()}
        with _transaction(self.db):
            new = self.db.execute(
                f"INSERT INTO searches ({', '.join(values)}) "
                f"VALUES ({', '.join(f':{name}' for name in values)})",
                values,
            ).lastrowid
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
                with _transaction(self._db):
                    self._append("asked", trial=trial, answer=answer.value)
                self._last = answer.value
            return None
        with _transaction(self._db):
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
        score, failure = outcome.score, outcome.failure
        with _transaction(self._db):
            self._append(
                "told",
                trial=trial,
                value=score and score.value,
                se=score and score.se,
                best_epoch=score and score.best_epoch,
                epochs=outcome.epochs,
                parameters=outcome.parameters,
                seconds=outcome.seconds,
                peak_bytes=outcome.peak_bytes,
                failure=failure and failure.kind,
                message=failure and failure.message,
                detail=failure and failure.detail,
            )
            self._db.executemany(
                "INSERT INTO curves VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (self.search, trial, fold, *_columns(curve))
                    for fold, curve in enumerate(score.folds if score else ())
                ],
            )
        self._last = None

    def events(self) -> Iterator[Asked | Told]:
        """Everything so far, in order."""
        rows = self._db.execute(
            "SELECT seq, 0 FROM asked WHERE search = :s UNION ALL "
            "SELECT seq, 1 FROM told WHERE search = :s ORDER BY seq",
            {"s": self.search},
        ).fetchall()
        for seq, told in rows:
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

    def complete(self) -> int:
        """How many trials ended with a value."""
        counted = self._db.execute(
            "SELECT count(value) FROM told WHERE search = ?", (self.search,)
        ).fetchone()
        return int(counted[0])

    def failures(self) -> list[str]:
        """Kind and message of every trial that failed, oldest first."""
        rows = self._db.execute(
            "SELECT failure, message FROM told WHERE search = ? AND failure IS NOT NULL "
            "ORDER BY seq",
            (self.search,),
        )
        return [f"{kind}: {message}" for kind, message in rows]

    def _append(self, table: str, **values: Any) -> None:
        values = {"search": self.search, "seq": self._seq + 1, "at": time.time(), **values}
        try:
            self._db.execute(
                f"INSERT INTO {table} ({', '.join(values)}) "
                f"VALUES ({', '.join(f':{name}' for name in values)})",
                values,
            )
        except sqlite3.IntegrityError as error:
            raise StoreError(
                "another run writes to this search at the same time; this one stops, and nothing "
                "of the other is lost"
            ) from error
        self._seq += 1

    def _told(self, row: sqlite3.Row) -> Told:
        score = failure = None
        if row["failure"] is not None:
            failure = Failure(row["failure"], row["message"], row["detail"])
        else:
            score = Score(row["value"], row["se"], row["best_epoch"], self._curves(row["trial"]))
        return Told(
            row["trial"],
            Outcome(score, failure, row["seconds"], row["parameters"], row["peak_bytes"]),
        )

    def _curves(self, trial: int) -> tuple[Curve, ...]:
        rows = self._db.execute(
            "SELECT train, validation, train_loss, validation_loss, rows, parameters, seconds "
            "FROM curves WHERE search = ? AND trial = ? ORDER BY fold",
            (self.search, trial),
        )
        return tuple(_curve(row) for row in rows)


def _curve(row: sqlite3.Row) -> Curve:
    lists: dict[str, Any] = {name: tuple(json.loads(row[name])) for name in _CURVES}
    return Curve(**lists, rows=row["rows"], parameters=row["parameters"], seconds=row["seconds"])


def _asked(row: sqlite3.Row) -> Asked:
    if row["answer"] != "suggest":
        return Asked(row["trial"], Pause(row["answer"]))
    suggestion = Suggestion(json.loads(row["params"]), row["epochs"], row["parent"])
    return Asked(row["trial"], suggestion, row["id"])


def _columns(curve: Curve) -> tuple[Any, ...]:
    lists = (json.dumps(getattr(curve, name)) for name in _CURVES)
    return *lists, curve.rows, curve.parameters, curve.seconds


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
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
