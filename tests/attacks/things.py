"""Things that lie where something else is expected: made in the folder of a case."""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

Maker = Callable[[Path], None]


def text(path: Path) -> None:
    path.write_text("dear diary\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


def folder(path: Path) -> None:
    path.mkdir()


def full_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("three years of work")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    """As /dev/null; only root can make one, others get a link to it."""
    if os.geteuid() == 0:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        path.symlink_to("/dev/null")


def full_device(path: Path) -> None:
    """As /dev/full."""
    if os.geteuid() == 0:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    else:
        path.symlink_to("/dev/full")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere/at/all")


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.execute("INSERT INTO recipes VALUES ('soup')")
    connection.close()


def store_of_the_future(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.execute("CREATE TABLE searches (id INTEGER)")
    connection.close()


def half_a_store(path: Path) -> None:
    whole = (path.parent / "store.db").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def header_alone(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + bytes(84))


def unreadable(path: Path) -> None:
    text(path)
    path.chmod(0)


def link_to_store(path: Path) -> None:
    path.symlink_to("store.db")


def link_to_thesis(path: Path) -> None:
    path.symlink_to("mine/thesis.txt")


def link_to_stdout(path: Path) -> None:
    path.symlink_to("/dev/stdout")


def second_name_of_store(path: Path) -> None:
    path.hardlink_to(path.parent / "store.db")


def read_only_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o555)


ODD: dict[str, Maker] = {
    "a text file": text,
    "an empty file": empty,
    "noise": noise,
    "a folder": folder,
    "a full folder": full_folder,
    "a FIFO": fifo,
    "a device": device,
    "a full device": full_device,
    "a link to itself": loop,
    "a dangling link": dangling,
    "another database": other_database,
    "a store of the future": store_of_the_future,
    "half a store": half_a_store,
    "a database's header": header_alone,
    "an unreadable file": unreadable,
}
NOT_TO_BE_REPLACED: dict[str, Maker] = {
    "a full folder": full_folder,
    "a FIFO": fifo,
    "a device": device,
    "a full device": full_device,
    "a link to the store": link_to_store,
    "a link to stdout": link_to_stdout,
    "a second name of the store": second_name_of_store,
}
