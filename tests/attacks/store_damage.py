"""Damage stores: every command that reads one, and the run that continues it, either gives the right
figures or refuses in one line.

What SQLite wrote last lies in a file of its own, NAME-wal, which it believes up to the first damage.
Where only that is damaged or lost, the store is as it once was, and its figures are counted as
undetectable.
"""

import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from hpsearch import Hyperband, KFold, Random
from hpsearch.core.trial import Failure
from hpsearch.store import Store
from tests import filled
from tests.attacks import damage
from tests.attacks.commands import snapshot, throw_away, unclear
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.server import Answer, CommandServer
from tests.attacks.store_edits import TABLES, Harm, edits

LIMIT = 60.0  # seconds that a command may take; on an idle machine the slowest takes one
EACH = 110  # cases of each damage of bytes
WAL = 60  # of damages of what SQLite has written last
QUICK = ("rank --json", "show 2 --json", "studies --json", "watch study --json")
SLOW = (
    "run ../study.py --inline --json",
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


def make_store(folder: Path, server: CommandServer) -> None:
    """A store with a search that can go on, and others with failures, folds and an opened test."""
    (folder / "study.py").write_text(STUDY)
    first = server.run(folder, "run", "study.py", "--inline",
                       "--total-epochs", "20", "--store", "store.db")  # fmt: skip
    assert first.code == 0, first
    with Store(folder / "store.db", create=True) as store:
        failure = Failure("exception", "no such width", "Traceback (most recent call last): ...")
        filled.fill(store, Hyperband(max_epochs=9, eta=3), KFold(3), folds=3, fail={4: failure})
        filled.fill(store, Random(trials=12, epochs=6), KFold(3), study="other", folds=3, running=2)
    with sqlite3.connect(folder / "store.db") as db:  # all in one file
        db.execute("PRAGMA journal_mode = DELETE")
    db.close()


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
    if _without_times(answer.out) == _without_times(intact.out):
        return "works", ""
    if likely and likely():
        return "undetectable", ""
    return "wrong value", f"{command}: {_first_difference(answer.out, intact.out)}"


def _without_times(out: str) -> str:
    """What a command printed, but for the seconds of what `run` has just trained."""
    return re.sub(r'("seconds": |"(?:began|started|at)": )[-+.e0-9]+', r"\1", out)


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
            chosen = [(-1, ("nothing", None)), *draw(every, sample, seed)]
            for number, (name, harm) in show_progress("stores", chosen):
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
