"""The sealed test: each opening is recorded before the test is read, its result after."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.core.seeds import canonical_json
from hpsearch.store.database import insert_rows
from hpsearch.store.store import Store


@dataclass(frozen=True, slots=True)
class Opening:
    """One use of the test rows.

    Args:
        nth: 1 for the first opening of these test rows by any study, then 2...
        test: the fingerprint of the test rows.
        model: what was tested.
        at: seconds since 1970.
        value, se, report: the result; None where the run ended before it was recorded.
    """

    id: int
    nth: int
    task: str
    study: str
    measure: str
    test: str
    model: Mapping[str, Any]
    at: float
    value: float | None = None
    se: float | None = None
    report: Mapping[str, Any] | None = None


def open_test(store: Store, search: int, test: str, model: Mapping[str, Any]) -> Opening:
    """Record that a model is about to be tested on the rows with this fingerprint.

    Testing the same model again is the same opening: it shows nothing new.
    """

    def write() -> int:
        store.db.lock("openings")
        for opening in list_openings(store):
            if (opening.test, opening.model) == (test, dict(model)):
                return opening.id
        row = {"search": search, "test": test, "model": canonical_json(model), "at": time.time()}
        number = store.db.next_id("openings")
        insert_rows(store.db, "openings", {"id": number, **row})
        return number

    number = store.db.write(write)
    return next(opening for opening in list_openings(store) if opening.id == number)


def record_test_result(
    store: Store, opening: Opening, value: float, se: float | None, report: Mapping[str, Any]
) -> Opening:
    """Record the result of an opening; return the opening with its result.

    Where two runs test the same model at once, the first result counts.
    """

    def write() -> None:
        store.db.lock("verdicts")
        if store.db.query("SELECT 1 FROM verdicts WHERE opening = :id", id=opening.id):
            return
        row = {"value": value, "se": se, "report": json.dumps(report), "at": time.time()}
        insert_rows(store.db, "verdicts", {"opening": opening.id, **row})

    store.db.write(write)
    return next(o for o in list_openings(store) if o.id == opening.id)


def list_openings(store: Store, task: str | None = None) -> list[Opening]:
    """All openings, or those of one task, in order."""
    rows = store.db.query(
        "SELECT o.id, s.task, s.study, s.measure, o.test, o.model, o.at, v.value, v.se, v.report "
        "FROM openings o JOIN searches s ON s.id = o.search "
        "LEFT JOIN verdicts v ON v.opening = o.id ORDER BY o.id"
    )
    found: list[Opening] = []
    for id_, of_task, study, measure, test, model, at, value, se, report in rows:
        nth = 1 + sum(earlier.test == test for earlier in found)
        result = None if report is None else json.loads(report)
        found.append(
            Opening(
                id_, nth, of_task, study, measure, test, json.loads(model), at, value, se, result
            )
        )
    return [opening for opening in found if task in (None, opening.task)]
