"""The journal: everything asked and told, appended before anything acts on it."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from hpsearch.core.errors import StoreError
from hpsearch.core.seeds import canonical_json
from hpsearch.core.trial import Curve, Outcome, Pause, Score, Suggestion
from hpsearch.store import rows
from hpsearch.store.database import Database, DuplicateError, insert
from hpsearch.store.records import Asked, Told

T = TypeVar("T")
_PAGE = 256  # events read at a time


class Journal:
    """The events of one search, in order. Each call is one transaction."""

    def __init__(self, db: Database, search: int) -> None:
        self._db, self.search = db, search
        last = db.query(
            "SELECT seq, answer FROM asked WHERE search = :s "
            "UNION ALL SELECT seq, NULL FROM told WHERE search = :s ORDER BY seq DESC LIMIT 1",
            s=search,
        )
        self._seq: int
        self._last: str | None
        self._seq, self._last = last[0] if last else (0, None)

    def __len__(self) -> int:
        """How many events there are."""
        return self._seq

    def asked(self, trial: int, answer: Suggestion | Pause) -> int | None:
        """Append an answer; returns the id by which people call the trial, if it is one.

        A pause that follows the same pause is no news and is not appended again: a run that was
        killed and continued leaves the journal of a run that never was.
        """
        if isinstance(answer, Pause):
            if self._last != answer.value:
                self._append(lambda: self._insert("asked", trial=trial, answer=answer.value))
                self._last = answer.value
            return None

        def append() -> int:
            number = self._db.next_id("asked")
            self._insert(
                "asked",
                trial=trial,
                answer="suggest",
                id=number,
                params=canonical_json(answer.params),
                epochs=answer.epochs,
                parent=answer.parent,
            )
            return number

        id_ = self._append(append)
        self._last = "suggest"
        return id_

    def told(self, trial: int, outcome: Outcome) -> None:
        """Append how a trial ended, with every fold's curves."""
        score = outcome.score

        def append() -> None:
            self._insert(
                "told",
                trial=trial,
                value=score and score.value,
                se=score and score.se,
                **rows.outcome_columns(outcome),
            )
            self._end(trial, 0, score)

        self._append(append)
        self._last = None

    def repeated(
        self, trial: int, repeat: int, outcome: Outcome, value: float | None, se: float | None
    ) -> None:
        """Append how a training with fresh seeds ended, and the value of all trainings so far."""

        def append() -> None:
            [(before,)] = self._db.query(
                "SELECT coalesce(max(seq), 0) FROM repeats WHERE search = :s AND trial = :t",
                s=self.search,
                t=trial,
            )
            row = {
                "search": self.search,
                "trial": trial,
                "repeat": repeat,
                "seq": before + 1,
                "own": outcome.score and outcome.score.value,
                "value": value,
                "se": se,
                "at": time.time(),
                **rows.outcome_columns(outcome),
            }
            insert(self._db, "repeats", row)
            self._end(trial, repeat, outcome.score)

        self._db.write(append)

    def events(self) -> Iterator[Asked | Told]:
        """Everything so far, in order."""
        for begin in range(1, self._seq + 1, _PAGE):  # numbers are without gaps
            yield from self._db.read(partial(self._page, begin))

    def _page(self, begin: int) -> list[Asked | Told]:
        which = {"s": self.search, "a": begin, "z": begin + _PAGE - 1}
        between = "search = :s AND seq BETWEEN :a AND :z"
        asked = self._db.query(f"SELECT * FROM asked WHERE {between}", **which).records()
        told = self._db.query(f"SELECT * FROM told WHERE {between}", **which).records()
        curves = self._curves(
            f"repeat = 0 AND trial IN (SELECT trial FROM told WHERE {between})", **which
        )
        events: dict[int, Asked | Told] = {row["seq"]: _asked(row) for row in asked}
        for row in told:
            folds = curves.get((row["trial"], 0), ())
            outcome = rows.outcome(row, row["value"], row["se"], folds)
            events[row["seq"]] = Told(row["trial"], outcome)
        return [events[seq] for seq in sorted(events)]

    def outcome(self, trial: int) -> Outcome | None:
        """How a trial ended; None while it runs."""
        return next(iter(self.trainings(trial)), None)

    def repeats(self, trial: int) -> set[int]:
        """The numbers, from 1, of a trial's repeats that have ended."""
        found = self._db.query(
            "SELECT repeat FROM repeats WHERE search = :s AND trial = :t", s=self.search, t=trial
        )
        return {repeat for (repeat,) in found}

    def trainings(self, trial: int) -> list[Outcome]:
        """A told trial's first training, then its repeats; each with its own value."""
        return self._db.read(lambda: self._trainings(trial))

    def _trainings(self, trial: int) -> list[Outcome]:
        which = {"s": self.search, "t": trial}
        first = self._db.query("SELECT * FROM told WHERE search = :s AND trial = :t", **which)
        if not first:
            return []
        [told] = first.records()
        repeats = self._db.query(
            "SELECT * FROM repeats WHERE search = :s AND trial = :t ORDER BY repeat", **which
        )
        curves = self._curves("trial = :t", **which)
        return [
            rows.outcome(told, told["value"], told["se"], curves.get((trial, 0), ())),
            *(
                rows.outcome(row, row["own"], None, curves.get((trial, row["repeat"]), ()))
                for row in repeats.records()
            ),
        ]

    def complete(self) -> int:
        """How many trials ended with a value."""
        [(counted,)] = self._db.query(
            "SELECT count(value) FROM told WHERE search = :s", s=self.search
        )
        return int(counted)

    def failures(self) -> list[str]:
        """Kind and message of every trial that failed, oldest first."""
        found = self._db.query(
            "SELECT failure, message FROM told WHERE search = :s AND failure IS NOT NULL "
            "ORDER BY seq",
            s=self.search,
        )
        return [f"{kind}: {message}" for kind, message in found]

    def _append(self, work: Callable[[], T]) -> T:
        """The next event of the search."""
        try:
            done = self._db.write(work)
        except DuplicateError as error:
            raise StoreError(
                "another run writes to this search at the same time; this one stops, and nothing "
                "of the other is lost"
            ) from error
        self._seq += 1
        return done

    def _insert(self, table: str, **values: Any) -> None:
        row = {"search": self.search, "seq": self._seq + 1, "at": time.time(), **values}
        insert(self._db, table, row)

    def _end(self, trial: int, repeat: int, score: Score | None) -> None:
        """The curves of a training, which now is no longer live."""
        which = {"search": self.search, "trial": trial, "repeat": repeat}
        folds = rows.curve_columns(score) if score else ()
        insert(self._db, "curves", *(which | columns for columns in folds))
        self._db.execute(
            "DELETE FROM live WHERE search = :search AND trial = :trial AND repeat = :repeat",
            [which],
        )

    def _curves(self, where: str, **values: Any) -> dict[tuple[int, int], tuple[Curve, ...]]:
        """By trial and repeat, the curves of its folds."""
        found = self._db.query(
            f"SELECT trial, repeat, {rows.CURVE_COLUMNS} FROM curves "
            f"WHERE search = :s AND {where} ORDER BY trial, repeat, fold",
            **values,
        )
        curves: dict[tuple[int, int], tuple[Curve, ...]] = {}
        for row in found.records():
            key = row["trial"], row["repeat"]
            curves[key] = (*curves.get(key, ()), rows.curve(row))
        return curves


def _asked(row: Mapping[str, Any]) -> Asked:
    if row["answer"] != "suggest":
        return Asked(row["trial"], Pause(row["answer"]))
    suggestion = Suggestion(rows.point(row["params"]), row["epochs"], row["parent"])
    return Asked(row["trial"], suggestion, row["id"])
