"""Stores that are deleted, moved, replaced or linked under a run.

The run notices it at its next write, and saves what it told in another file, which it names.
"""

import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

from hpsearch.store import Store, list_studies
from tests.attacks.faults import Case, Verdict, chained, refused, try_each
from tests.attacks.searches import CHAINED, Running, Search


def delete(store: Path) -> None:
    store.unlink()


def delete_all(store: Path) -> None:
    for path in store.parent.glob("store.db*"):
        path.unlink()


def delete_folder(store: Path) -> None:
    while store.parent.exists():  # the run may leave a checkpoint there meanwhile
        shutil.rmtree(store.parent, ignore_errors=True)


def move(store: Path) -> None:
    store.rename(store.with_name("elsewhere.db"))


def replace_by_text(store: Path) -> None:
    store.with_name("new").write_text("mine\n")
    store.with_name("new").replace(store)


def replace_by_another(store: Path) -> None:
    db = sqlite3.connect(store.with_name("new"))
    db.execute("CREATE TABLE mine (x)")
    db.commit()
    db.close()
    store.with_name("new").replace(store)


def delete_wal(store: Path) -> None:
    store.with_name("store.db-wal").unlink(missing_ok=True)


def replace_by_folder(store: Path) -> None:
    store.unlink()
    store.mkdir()


LOSSES: dict[str, Callable[[Path], None]] = {
    "deleted": delete,
    "deleted with its -wal and -shm": delete_all,
    "deleted with its folder": delete_folder,
    "moved": move,
    "replaced by a text": replace_by_text,
    "replaced by another database": replace_by_another,
    "replaced by a folder": replace_by_folder,
    "without its -wal": delete_wal,
}


def loses_its_store(folder: Path, name: str) -> Verdict:
    """The run says so, and all that it told is in a file that it names."""
    search = chained(folder / "case", store=str(folder / "stores" / "store.db"))
    store = Path(search.store)
    store.parent.mkdir()
    running = search.start()
    running.wait_for_lines(4)
    LOSSES[name](store)
    mine = store.read_bytes() if name.startswith("replaced by") and store.is_file() else None
    if name == "without its -wal" and not refused_or_done(running):
        return "equal", ""
    end = running.end()
    if wrong := refused(end):
        return wrong
    if mine is not None and store.read_bytes() != mine:
        return "destroyed", "what replaced the store was written to"
    printed = sum(line.startswith("[") for line in end.out.splitlines())
    named = re.search(r"/\S*rescued\S*\.db", end.err)
    if named is None or not Path(named[0]).is_file():
        return "destroyed", f"no file has the {printed} trials: {end.err[-500:]}"
    with Store(Path(named[0])) as saved:
        told = sum(row["trials"] for row in list_studies(saved))
    return ("equal", "") if told >= printed else ("wrong value", f"{told} of {printed} trials")


def refused_or_done(running: Running) -> bool:
    """Whether it does not end by itself as if nothing had happened."""
    return running.end().code != 0


def second_run(folder: Path, kind: str) -> Verdict:
    """By another name of the store, a second run of the study is refused."""
    search = chained(folder / "case", searcher="Random(trials=9000, epochs=50)")
    running = search.start()
    running.wait_for_lines(2)
    store, other = search.folder / "store.db", search.folder / "other.db"
    if kind == "hard link":
        os.link(store, other)
    elif kind == "symbolic link":
        other.symlink_to("store.db")
    else:
        (search.folder / "sub").symlink_to(".")
        other = search.folder / "sub" / "store.db"
    second = Search(search.folder, search.study, search.options, CHAINED, store=str(other))
    wrong = refused(second.start().end())
    running.process.send_signal(signal.SIGINT)
    running.end()
    return wrong or ("clear", "")


def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for name in LOSSES:
        found[f"a store that is {name}"] = lambda folder, name=name: loses_its_store(folder, name)
    for kind in ("hard link", "symbolic link", "linked folder"):
        found[f"a second run by a {kind}"] = lambda folder, kind=kind: second_run(folder, kind)
    return found


ATTACKS = {"lost_stores": lambda sample, seed: try_each(cases(), sample, seed)}
