"""The journal: every answer and outcome of a search, appended before anything acts on it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from hpsearch.core.errors import StoreError
from hpsearch.core.metric import Metric
from hpsearch.core.seeds import canonical_json
from hpsearch.core.trial import Curve, Outcome, Pause, Score, Suggestion
from hpsearch.store import rows
from hpsearch.store.database import Database, DuplicateError, insert_rows
from hpsearch.store.records import AskedEvent, ToldEvent

T = TypeVar("T")
_PAGE = 256  # events read at a time


class Journal:
    """The events of one search, in order. Each method is one transaction.

    Args:
        metrics: those that outcomes may have beside the task's. Their directions are written with
            their curves.
    """

    def __init__(self, db: Database, search: int, metrics: Iterable[Metric] = ()) -> None:
        self._db, self.search = db, search
        self._directions = {metric.name: metric.direction for metric in metrics}
        last = db.query(
            "SELECT seq, answer FROM asked WHERE search = :s "
            "UNION ALL SELECT seq, NULL FROM told WHERE search = :s ORDER BY seq DESC LIMIT 1",
            s=search,
        )
        self._seq: int
        self._last: str | None
        self._seq, self._last = last[0] if last else (0, None)

    def __len__(self) -> int:
        """The number of events."""
        return self._seq

    def append_answer(self, trial: int, answer: Suggestion | Pause) -> int | None:
        """Append an answer of the searcher; returns the new trial's id, or None for a pause."""
        # The same pause again is not appended, so that a run that was killed and continued leaves
        # the same journal as one that was never killed.
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

    def append_outcome(self, trial: int, outcome: Outcome) -> None:
        """Append the outcome of a trial, with every fold's curves."""
        score = outcome.score

        def append() -> None:
            self._insert(
                "told",
                trial=trial,
                value=score and score.value,
                se=score and score.se,
                **rows.outcome_to_columns(outcome),
            )
            self._write_curves(trial, 0, score)

        self._append(append)
        self._last = None

    def append_repeat(
        self, trial: int, repeat: int, outcome: Outcome, value: float | None, se: float | None
    ) -> None:
        """Append the outcome of a repeat, and the trial's value over all trainings so far."""

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
                **rows.outcome_to_columns(outcome),
            }
            insert_rows(self._db, "repeats", row)
            self._write_curves(trial, repeat, outcome.score)

        self._db.write(append)

    def events(self) -> Iterator[AskedEvent | ToldEvent]:
        """All events so far, in order."""
        for begin in range(1, self._seq + 1, _PAGE):  # their numbers have no gaps
            yield from self._db.read(partial(self._page, begin))

    def _page(self, begin: int) -> list[AskedEvent | ToldEvent]:
        which = {"s": self.search, "a": begin, "z": begin + _PAGE - 1}
        between = "search = :s AND seq BETWEEN :a AND :z"
        asked = self._db.query(f"SELECT * FROM asked WHERE {between}", **which).records()
        told = self._db.query(f"SELECT * FROM told WHERE {between}", **which).records()
        curves = self._curves(
            f"repeat = 0 AND trial IN (SELECT trial FROM told WHERE {between})", **which
        )
        events: dict[int, AskedEvent | ToldEvent] = {
            row["seq"]: _event_from_row(row) for row in asked
        }
        for row in told:
            folds = curves.get((row["trial"], 0), ())
            outcome = rows.outcome_from_row(row, row["value"], row["se"], folds)
            events[row["seq"]] = ToldEvent(row["trial"], outcome)
        return [events[seq] for seq in sorted(events)]

    def outcome(self, trial: int) -> Outcome | None:
        """The outcome of a trial; None while it runs."""
        return next(iter(self.trainings(trial)), None)

    def ended_repeats(self, trial: int) -> set[int]:
        """The numbers, from 1, of a trial's repeats that have ended."""
        found = self._db.query(
            "SELECT repeat FROM repeats WHERE search = :s AND trial = :t", s=self.search, t=trial
        )
        return {repeat for (repeat,) in found}

    def trainings(self, trial: int) -> list[Outcome]:
        """The outcomes of a trial's first training and its repeats, each with its own value.

        Empty while the first training runs.
        """
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
            rows.outcome_from_row(told, told["value"], told["se"], curves.get((trial, 0), ())),
            *(
                rows.outcome_from_row(row, row["own"], None, curves.get((trial, row["repeat"]), ()))
                for row in repeats.records()
            ),
        ]

    def count_complete(self) -> int:
        """The number of trials that ended with a value."""
        [(counted,)] = self._db.query(
            "SELECT count(value) FROM told WHERE search = :s", s=self.search
        )
        return int(counted)

    def failures(self) -> list[str]:
        """Kind and message of every trial that failed and was not deleted, oldest first."""
        found = self._db.query(
            "SELECT t.failure, t.message FROM told t "
            "JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest' "
            "WHERE t.search = :s AND t.failure IS NOT NULL "
            "AND a.id NOT IN (SELECT trial FROM hidden) ORDER BY t.seq",
            s=self.search,
        )
        return [f"{kind}: {message}" for kind, message in found]

    def _append(self, work: Callable[[], T]) -> T:
        """Write the next event of the search."""
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
        insert_rows(self._db, table, row)

    def _write_curves(self, trial: int, repeat: int, score: Score | None) -> None:
        """Write the curves of a training that has ended, and delete its progress."""
        which = {"search": self.search, "trial": trial, "repeat": repeat}
        folds = rows.curve_rows(score, self._directions) if score else ()
        insert_rows(self._db, "curves", *(which | columns for columns in folds))
        self._db.execute(
            "DELETE FROM live WHERE search = :search AND trial = :trial AND repeat = :repeat",
            [which],
        )

    def _curves(self, where: str, **values: Any) -> dict[tuple[int, int], tuple[Curve, ...]]:
        """The curves of each training's folds, by trial and repeat."""
        found = self._db.query(
            f"SELECT trial, repeat, {rows.CURVE_COLUMNS} FROM curves "
            f"WHERE search = :s AND {where} ORDER BY trial, repeat, fold",
            **values,
        )
        curves: dict[tuple[int, int], tuple[Curve, ...]] = {}
        for row in found.records():
            key = row["trial"], row["repeat"]
            curves[key] = (*curves.get(key, ()), rows.curve_from_row(row))
        return curves


def _event_from_row(row: Mapping[str, Any]) -> AskedEvent:
    if row["answer"] != "suggest":
        return AskedEvent(row["trial"], Pause(row["answer"]))
    suggestion = Suggestion(rows.parse_point(row["params"]), row["epochs"], row["parent"])
    return AskedEvent(row["trial"], suggestion, row["id"])
