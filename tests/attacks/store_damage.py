"""Damage stores: every command that reads one, and the run that continues it, either gives the right
figures or refuses in one line.

What SQLite wrote last lies in a file of its own, NAME-wal, which it believes up to the first damage.
Where only that is damaged or lost, the store is as it once was, and its figures are counted as
undetectable.
"""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from hpsearch import Hyperband, KFold, Random
from hpsearch.store import Store
from hpsearch.trial import Failure
from tests import filled
from tests.attacks import damage
from tests.attacks.commands import snapshot, throw_away, unclear
from tests.attacks.figures import Figures, draw
from tests.attacks.server import Answer, CommandServer

LIMIT = 15.0  # seconds that a command may take; intact, the slowest takes less than one
EACH = 110  # cases of each damage of bytes
WAL = 60  # of damages of what SQLite has written last
QUICK = ("rank --json", "show 2 --json", "studies --json", "watch study --json")
SLOW = (
    "run ../study.py --inline --devices cpu --json",
    "report study -o report.html --json",
    "export csv -o csv --json",
    "rank",
    "show 3",
)  # each third case has one of them, in turn

STUDY = """
from hpsearch import *

study = Study(
    task=Task("chain", lambda: None, loss="mse", metric="mae"),
    space=Space(a=Float(0.0, 1.0), b=Choice("x", "y")),
    build=lambda spec, **params: None,
    searcher=Hyperband(max_epochs=4, eta=2),
)
"""

Harm = Callable[[Path, random.Random], None]


def make_store(folder: Path, server: CommandServer) -> None:
    """A store with a search that can go on, and others with failures, folds and an opened test."""
    (folder / "study.py").write_text(STUDY)
    first = server.run(folder, "run", "study.py", "--inline", "--devices", "cpu",
                       "--total-epochs", "20", "--store", "store.db")  # fmt: skip
    assert first.code == 0, first
    with Store(folder / "store.db", create=True) as store:
        failure = Failure("exception", "no such width", "Traceback (most recent call last): ...")
        filled.fill(store, Hyperband(max_epochs=9, eta=3), KFold(3), folds=3, fail={4: failure})
        filled.fill(store, Random(trials=12, epochs=6), KFold(3), study="other", folds=3, running=2)
    with sqlite3.connect(folder / "store.db") as db:  # all in one file
        db.execute("PRAGMA journal_mode = DELETE")
    db.close()


def sql(statements: str) -> Harm:
    """Statements on the store's tables; * stands for a drawn row of `asked`, `told` or `curves`."""

    def harm(path: Path, dice: random.Random) -> None:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA writable_schema = ON")
        db.create_function("deep", 0, lambda: "[" * 100_000)
        db.create_function("large", 0, lambda: "[" + "1.0, " * 8_000_000 + "1.0]")
        for statement in statements.split(";"):
            if statement.strip():
                db.execute(statement)
        db.close()

    return harm


TEXTS = ("asked.params", "curves.validation", "curves.train_loss", "searches.space",
         "searches.versions", "runs.planned")  # fmt: skip
NUMBERS = ("told.value", "told.se", "told.epochs", "told.best_epoch", "told.seconds",
           "asked.id", "asked.epochs", "asked.trial", "curves.value", "curves.rows",
           "searches.seed", "told.parameters", "runs.heard")  # fmt: skip
TABLES = ("searches", "asked", "told", "curves", "repeats", "retired", "openings", "verdicts",
          "live", "runs")  # fmt: skip
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


def edits() -> dict[str, Harm]:
    """Well-formed databases that no version of hpsearch has written."""
    found = {}
    for table in TABLES:
        found[f"no table {table}"] = sql(f"DROP TABLE {table}")
        found[f"an endless view for {table}"] = sql(
            f"DROP TABLE {table}; CREATE VIEW {table} AS {ENDLESS} i AS id, i AS search, "
            "'x' AS study, i AS seq, i AS trial, 0 AS repeat, 'suggest' AS answer FROM n"
        )
    for place in (*TEXTS, *NUMBERS):
        table, column = place.split(".")
        for name, value in (
            ("a blob", "x'00ff'"), ("text", "'abc'"), ("empty", "''"), ("NULL", "NULL"),
            ("NaN", "'NaN'"), ("infinite", "9e999"), ("-1", "-1"), ("a list", "'[1, \"a\"]'"),
            ("deep", "deep()"), ("an object", "'{}'"), ("2**62", "4611686018427387904"),
        ):  # fmt: skip
            found[f"{place} is {name}"] = sql(f"UPDATE OR IGNORE {table} SET {column} = {value}")
        found[f"no column {place}"] = sql(f"ALTER TABLE {table} RENAME COLUMN {column} TO gone")
    for text in TEXTS:
        found[f"40 MB in {text}"] = sql(f"UPDATE {text.replace('.', ' SET ')} = large()")
    found |= {
        "a newer version": sql("PRAGMA user_version = 99"),
        "a negative version": sql("PRAGMA user_version = -1"),
        "version 0": sql("PRAGMA user_version = 0"),
        "another program's": sql("PRAGMA application_id = 7"),
        "no program's": sql("PRAGMA application_id = 0"),
        "a trigger": trigger,
        "UTF-16": utf16,
        "no index": sql("DROP INDEX asked_by_trial; DROP INDEX asked_by_parent"),
        "an index that lies": sql("UPDATE sqlite_master SET sql = replace(sql, 'search, trial)', "
                                  "'trial, search)') WHERE name = 'asked_by_trial'"),
        "rows of no search": sql("DELETE FROM searches WHERE id = 1"),
        "told, never asked": sql("DELETE FROM asked WHERE seq = 3"),
        "a gap in the numbers": sql("DELETE FROM told WHERE trial = 2"),
        "no curves": sql("DELETE FROM curves"),
        "a parent of its own": sql("UPDATE asked SET parent = trial WHERE answer = 'suggest'"),
        "unknown answers": sql("UPDATE asked SET answer = 'perhaps' WHERE answer != 'suggest'"),
        "unknown direction": sql("UPDATE searches SET direction = 'up'"),
        "unknown metric": sql("UPDATE searches SET measure = 'beauty'"),
        "control characters": sql("UPDATE searches SET study = char(27) || '[2J' || study"),
        "a retired circle": sql("INSERT INTO retired SELECT id, id FROM searches"),
    }  # fmt: skip
    return found


def trigger(path: Path, dice: random.Random) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TRIGGER t AFTER INSERT ON asked BEGIN DELETE FROM told; END")
    db.close()


def utf16(path: Path, dice: random.Random) -> None:
    """The same rows in another encoding, which a store never has."""
    copy = path.with_name("copy.db")
    old, new = sqlite3.connect(path), sqlite3.connect(copy)
    new.execute("PRAGMA encoding = 'UTF-16'")
    new.executescript("".join(old.iterdump()))
    for pragma in ("application_id", "user_version"):
        [(number,)] = old.execute(f"PRAGMA {pragma}")
        new.execute(f"PRAGMA {pragma} = {number}")
    old.close()
    new.close()
    os.replace(copy, path)


def wal_damages(whole: dict[str, bytes]) -> dict[str, Harm]:
    """A store whose last trials lie in -wal, which is lost, damaged, or another store's."""

    def leave(path: Path, wal: bytes | None) -> None:
        path.write_bytes(whole["store.db"])
        if wal is not None:
            path.with_name("store.db-wal").write_bytes(wal)

    def by_bytes(change: Callable[[bytes, random.Random], bytes]) -> Harm:
        return lambda path, dice: leave(path, change(whole["store.db-wal"], dice))

    def foreign(path: Path, dice: random.Random) -> None:
        other = path.with_name("other.db")
        db = sqlite3.connect(other)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t (x)")
        db.commit()
        wal = other.with_name("other.db-wal").read_bytes()
        db.close()
        other.unlink()
        leave(path, wal)

    found: dict[str, Harm] = {f"-wal: {name}": by_bytes(c) for name, c in damage.BYTES.items()}
    found["-wal: lost"] = lambda path, dice: leave(path, None)
    found["-wal: another's"] = foreign
    found["-wal: whole"] = lambda path, dice: leave(path, whole["store.db-wal"])
    return found


def with_wal(folder: Path) -> dict[str, bytes]:
    """The store's files as they lie while a run writes its last trials."""
    path = folder / "wal" / "store.db"
    path.parent.mkdir()
    shutil.copy(folder / "store.db", path)
    db = sqlite3.connect(path, isolation_level=None)
    rows = db.execute("SELECT * FROM told ORDER BY search, seq DESC LIMIT 4").fetchall()
    db.execute("DELETE FROM told WHERE (search, seq) IN "
               "(SELECT search, seq FROM told ORDER BY search, seq DESC LIMIT 4)")  # fmt: skip
    db.execute("PRAGMA journal_mode = WAL")
    for row in rows:
        db.execute(f"INSERT INTO told VALUES ({', '.join('?' * len(row))})", row)
    found = {name: (path.parent / name).read_bytes() for name in ("store.db", "store.db-wal")}
    db.close()
    return found


def cases(folder: Path) -> Iterator[tuple[str, Harm]]:
    """Every damage, by name; each is given the path of an intact store."""

    def by_bytes(change: Callable[[bytes, random.Random], bytes]) -> Harm:
        return lambda path, dice: path.write_bytes(change(path.read_bytes(), dice))

    def by_place(what: Callable[[Path], None]) -> Harm:
        return lambda path, dice: damage.put(path, what)

    for name, harm in edits().items():
        yield name, harm
    changes = {
        **damage.BYTES,
        "a bit of the file's header": damage.flip_in(0, 100),
        "a bit of the schema": damage.flip_in(100, 4096),
    }
    for name, change in changes.items():
        yield from ((name, by_bytes(change)) for _ in range(EACH))
    for name, what in damage.PLACES.items():
        yield name, by_place(what)
    wal = wal_damages(with_wal(folder))
    for number in range(WAL):
        yield list(wal.items())[number % len(wal)]


def only_last_rows_are_lost(path: Path, whole: Path) -> bool:
    """Whether it is as it once was: what SQLite wrote last is lost, and nothing else changed."""
    try:
        damaged, intact = (sqlite3.connect(f"file:{p}?mode=ro", uri=True) for p in (path, whole))
        return all(
            set(damaged.execute(f"SELECT * FROM {table}"))
            <= set(intact.execute(f"SELECT * FROM {table}"))
            for table in TABLES
        )
    except sqlite3.Error:
        return False


def judge(
    command: str, answer: Answer, intact: Answer, likely: Callable[[], bool] | Literal[False]
) -> tuple[str, str]:
    """The verdict on a command on a damaged store."""
    seen = f"{command}: exit {answer.code}: {(answer.err or answer.out).strip()[-600:]}"
    if answer.code is None:
        return ("hang" if "hangs" in answer.err else "traceback"), seen
    if "Traceback" in answer.err or answer.code not in (0, 2):
        return "traceback", seen
    if answer.code == 2:
        rule = unclear(answer.err)
        return ("unclear", f"{rule}: {seen}") if rule else ("clear", "")
    if answer.out == intact.out:
        return "works", ""
    if likely and likely():
        return "undetectable", ""
    return "wrong value", f"{command}: {_first_difference(answer.out, intact.out)}"


def _first_difference(found: str, wanted: str) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    return f"...{found[max(0, at - 80) : at + 80]!r} instead of ...{wanted[max(0, at - 80) : at + 80]!r}"


ORDER = (
    "undetectable",
    "works",
    "clear",
    "unclear",
    "wrong value",
    "traceback",
    "hang",
    "destroyed",
)


def damage_stores(sample: int | None, seed: int) -> Figures:
    """Damage a store in every way, and run the commands on it; the worst of them is the verdict."""
    figures, server = Figures("stores"), CommandServer(LIMIT)
    try:
        with throw_away() as folder:
            make_store(folder, server)
            intact = folder / "store.db"
            every = list(enumerate(cases(folder)))
            answers: dict[str, Answer] = {}
            for number, (name, harm) in [(-1, ("nothing", None)), *draw(every, sample, seed)]:
                here = folder / "case"
                shutil.rmtree(here, ignore_errors=True)
                here.mkdir()
                shutil.copy(intact, here / "store.db")
                if harm is not None:
                    harm(here / "store.db", random.Random(f"{seed} {number}"))
                slow = SLOW if number < 0 else SLOW[number // 3 % len(SLOW) :][: number % 3 == 0]
                is_wal = name.startswith("-wal")
                likely = partial(only_last_rows_are_lost, here / "store.db", intact)
                before, verdicts = snapshot(here), []
                for command in (*QUICK, *reversed(slow)):
                    answer = server.run(here, *command.split(), "--store", "store.db")
                    if number < 0:
                        assert answer.code == 0, answer
                        answers[command] = answer
                        continue
                    verdicts.append(judge(command, answer, answers[command], is_wal and likely))
                    if answer.code is None:
                        break  # so would the others
                    # Who reads a store with a -wal last puts it into the file; that is SQLite's way.
                    if (
                        not is_wal
                        and command in QUICK
                        and snapshot(here).get("store.db") != before.get("store.db")
                    ):
                        verdicts.append(("destroyed", f"{command} changed the file"))
                if verdicts:
                    verdict, detail = max(verdicts, key=lambda found: ORDER.index(found[0]))
                    figures.add(verdict, f"{number}: {name}", detail)
    finally:
        server.close()
    return figures


ATTACKS = {"stores": damage_stores}
