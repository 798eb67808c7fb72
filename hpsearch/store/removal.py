"""Delete trials and studies, and rename studies.

A deleted trial leaves everything that people see, but its rows stay: its search replays from them
when it goes on, and would else ask for other trials. A deleted study loses its rows too.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.core.errors import StoreError
from hpsearch.core.rules import brief, why_no_name
from hpsearch.store.database import insert_rows, update_row
from hpsearch.store.flat import sql_list
from hpsearch.store.store import Store


@dataclass(frozen=True, slots=True)
class StudyRows:
    """What the store has of a study.

    Args:
        searches: the ids of its searches, those that --fresh replaced too.
        trials: the ids of their trials.
        openings: how often its models were tested on sealed rows; these records stay.
    """

    searches: tuple[int, ...]
    trials: tuple[int, ...]
    openings: int


def read_study_rows(store: Store, study: str) -> StudyRows:
    """What the store has of a study. Raises StoreError where it has none of this name."""
    return store.db.read(lambda: _read_study_rows(store, study))


def _read_study_rows(store: Store, study: str) -> StudyRows:
    db = store.db
    found = db.query(
        "SELECT id FROM searches WHERE study = :study AND id NOT IN (SELECT search FROM removed)",
        study=study,
    )
    searches = tuple(search for (search,) in found)
    if not searches:
        raise StoreError(f"the store has no study {brief(study)}")
    which = sql_list(searches)
    trials = db.query(
        f"SELECT id FROM asked WHERE answer = 'suggest' AND search IN ({which}) ORDER BY id"
    )
    [(openings,)] = db.query(f"SELECT count(*) FROM openings WHERE search IN ({which})")
    return StudyRows(searches, tuple(id_ for (id_,) in trials), openings)


def check_trial_ended(store: Store, trial: int) -> None:
    """Raise StoreError for a trial that cannot be deleted: its search is not through with it."""
    found = store.db.query(
        "SELECT a.search, a.trial, t.trial "
        "FROM asked a LEFT JOIN told t ON t.search = a.search AND t.trial = a.trial "
        "WHERE a.id = :id",
        id=trial,
    )
    if not found:
        raise StoreError(f"the store has no trial {trial}; `rank` lists trial numbers")
    [(search, number, told)] = found
    if told is None:
        raise StoreError(
            f"trial {trial} has not ended, and its search will train it; let it end, or delete its "
            "study"
        )
    if (child := find_unfinished_child(store, search, number)) is not None:
        raise StoreError(
            f"trial {trial} is continued by trial {child}, which has not ended; let that end, or "
            "delete the study"
        )


def find_unfinished_child(store: Store, search: int, trial: int) -> int | None:
    """The id of a trial that continues this one, by its number in the search, and has not ended."""
    [(child,)] = store.db.query(
        "SELECT min(c.id) FROM asked c WHERE c.search = :s AND c.parent = :t AND NOT EXISTS "
        "(SELECT 1 FROM told t WHERE t.search = c.search AND t.trial = c.trial)",
        s=search,
        t=trial,
    )
    return None if child is None else int(child)


def hide_trial(store: Store, trial: int) -> None:
    """Delete a trial for all who read the store; its labels go too.

    Raises StoreError for a trial that has not ended, or that another one continues which has not.
    """

    def write() -> None:
        store.db.lock("hidden")
        check_trial_ended(store, trial)
        if store.db.query("SELECT 1 FROM hidden WHERE trial = :trial", trial=trial):
            return
        for table in ("tags", "notes"):
            store.db.execute(f"DELETE FROM {table} WHERE trial = :trial", [{"trial": trial}])
        insert_rows(store.db, "hidden", {"trial": trial, "at": time.time()})

    store.db.write(write)


def remove_study(store: Store, study: str) -> None:
    """Delete the rows of a study, in one transaction.

    The caller holds the study's lock. What was seen of a sealed test is not forgotten: a search
    whose test was opened keeps its own row, and the openings theirs.
    """

    def write() -> None:
        db = store.db
        rows = _read_study_rows(store, study)
        which = sql_list(rows.searches)
        opened = {s for (s,) in db.query(f"SELECT search FROM openings WHERE search IN ({which})")}
        last = {
            search: (count, id_)
            for search, count, id_ in db.query(
                f"SELECT search, count(id), max(id) FROM asked WHERE search IN ({which}) "
                "GROUP BY search"
            )
        }
        ids = f"SELECT id FROM asked WHERE search IN ({which}) AND id IS NOT NULL"
        db.execute(f"DELETE FROM hidden WHERE trial IN ({ids})")
        for table in ("tags", "notes"):
            db.execute(
                f"DELETE FROM {table} WHERE trial IN ({ids}) OR study = :study", [{"study": study}]
            )
        for table in ("live", "runs", "curves", "repeats", "told", "asked", "former_names"):
            db.execute(f"DELETE FROM {table} WHERE search IN ({which})")
        db.execute(f"DELETE FROM retired WHERE search IN ({which}) OR successor IN ({which})")
        gone = [search for search in rows.searches if search not in opened]
        db.execute(f"DELETE FROM searches WHERE id IN ({sql_list(gone)})")
        now = time.time()
        for search in rows.searches:
            count, id_ = last.get(search, (0, 0))
            row = {"search": search, "study": study, "trials": count, "last_trial": id_ or 0}
            insert_rows(db, "removed", row | {"at": now})

    store.db.write(write)


def rename_study(store: Store, study: str, new: str) -> None:
    """Give a study another name; its file still finds it by the former one.

    The caller holds the locks of both names. Raises StoreError where the new name cannot be one, or
    is another study's.
    """
    if why := why_no_name(new, of_files=True):
        raise StoreError(f"a study's name is {why}, got {brief(new)}")
    if new.isascii() and new.isdigit():
        raise StoreError(f"a study's name is no number, which would name a trial, got {brief(new)}")

    def write() -> None:
        db = store.db
        rows = _read_study_rows(store, study)
        if db.query(
            "SELECT 1 FROM searches WHERE study = :new AND id NOT IN (SELECT search FROM removed)",
            new=new,
        ):
            raise StoreError(f"the store has a study {new} already; choose another name")
        now, which = time.time(), sql_list(rows.searches)
        for row in db.query(f"SELECT * FROM searches WHERE id IN ({which})").records():
            update_row(db, "searches", row, {"study": new})
        pair = {"old": study, "new": new}
        # The present name is no former one, also where the study gets an earlier name back.
        db.execute(
            f"DELETE FROM former_names WHERE search IN ({which}) AND study IN (:old, :new)", [pair]
        )
        former = ({"search": search, "study": study, "at": now} for search in rows.searches)
        insert_rows(db, "former_names", *former)
        for table in ("tags", "notes"):
            db.execute(f"UPDATE {table} SET study = :new WHERE study = :old", [pair])

    store.db.write(write)


def find_present_name(store: Store, name: str, file: str | None) -> str:
    """The name that a study has in the store by now, where it was renamed; else its own.

    Args:
        file: the study's, as searches record it; None where only the name is known.
    """
    current = store.searches(name)
    if any(file in (None, record.file) for record in current):
        return name
    former = store.db.query(
        "SELECT s.study, s.file FROM former_names f JOIN searches s ON s.id = f.search "
        "WHERE f.study = :name ORDER BY f.at DESC, s.id DESC",
        name=name,
    )
    for study, of_file in former:
        # A file that is no longer there was moved, unless the name is another study's by now.
        if file in (None, of_file) or not (current or Path(of_file).exists()):
            return str(study)
    return name


def hidden_trials(store: Store, searches: Sequence[int]) -> dict[int, list[int]]:
    """The numbers, within their search, of the trials that were deleted, by search."""
    found: dict[int, list[int]] = {}
    for search, trial in store.db.query(
        "SELECT a.search, a.trial FROM hidden h JOIN asked a ON a.id = h.trial "
        f"WHERE a.search IN ({sql_list(searches)}) ORDER BY a.id"
    ):
        found.setdefault(search, []).append(trial)
    return found
