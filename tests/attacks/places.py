"""Stores, studies and models given as arguments that are something else."""

from collections.abc import Iterator
from pathlib import Path

from tests.attacks import things
from tests.attacks.cases import UNTRAINED, Case, attack
from tests.attacks.commands import tells_no_password
from tests.attacks.figures import Figures

READERS: dict[str, list[str]] = {
    "rank": ["rank"],
    "show": ["show", "1"],
    "studies": ["studies"],
    "watch": ["watch", "filled"],
    "compare": ["compare", "1", "2", "-o", "new.png"],
    "report": ["report", "filled", "-o", "new.html"],
    "export": ["export", "csv", "-o", "new"],
    "doctor": ["doctor", "filled"],
    "delete": ["delete", "1", "--yes"],
    "rename": ["rename", "filled", "other"],
    "tag": ["tag", "1", "good"],
    "note": ["note", "1", "looks good"],
    "clean": ["clean", "--yes"],
    "plan": ["plan", "filled"],
    "run": ["run", "study.py", "--inline", "--quiet"],
}
# What has no store: there is nothing to show, but a run may begin one.
EMPTY = {"an empty file", "a dangling link"}
URLS = (
    *("postgresql://", "postgresql://ann:hush@127.0.0.1:1/trials", "postgresql://ann:hush@/x?y=z"),
    *("postgresql://ann:hush@127.0.0.1:99999/x", "postgres://ann:hush@nowhere.invalid/x"),
    *(
        "sqlite:///store.db",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "://",
        "mysql://a:hush@b/c",
    ),
    *("postgresql://ann:hush@[::1/x", "postgresql://%zz", "s3://bucket/store.db", "memory://store"),
)
STUDIES = {
    "not there": "nosuch.py",
    "a name nobody knows": "nosuch",
    "a folder": "mine",
    "a text without .py": "mine/thesis.txt",
    "the store": "store.db",
    "a table": "table.csv",
    "too long": "x" * 300 + ".py",
    "with a newline": "a\nb.py",
    "empty": "",
    "this folder": ".",
    "/dev/null": "/dev/null",
    "the root": "/",
}


def cases() -> Iterator[Case]:
    for name, command in READERS.items():
        for what, make in things.ODD.items():
            yield Case(
                f"{name} of {what}",
                [*command, "--store", "odd"],
                "either" if what in EMPTY and name in ("run", "plan") else "clear",
                _made("odd", make),
                writes=("odd*", "checkpoints*", "nowhere*")
                if name == "run" and what in EMPTY
                else (),
                module=UNTRAINED if name == "run" else "hpsearch",
                unprivileged=what == "an unreadable file",
            )
        for url in URLS[:: 1 if name in ("rank", "run") else 4]:
            yield Case(
                f"{name} --store {url}", [*command, "--store", url], env={"PGCONNECT_TIMEOUT": "2"},
                check=tells_no_password, module=UNTRAINED if name == "run" else "hpsearch",
            )  # fmt: skip
    for name in ("run", "plan"):
        for what, path in STUDIES.items():
            yield Case(
                f"{name} a study that is {what}", [name, path, *_inline(name)], module=_module(name)
            )
        for what, make in things.ODD.items():
            yield Case(
                f"{name} a study file that is {what}",
                [name, "odd.py", *_inline(name)],
                prepare=_made("odd.py", make),
                module=_module(name),
                unprivileged=what == "an unreadable file",
            )
    yield Case("run in a read-only folder", ["run", "study.py", "--store", "new.db", "--inline"],
               prepare=_read_only, module=UNTRAINED, unprivileged=True)  # fmt: skip
    yield Case("run on a read-only store", ["run", "study.py", "--inline"], prepare=_read_only_store,
               module=UNTRAINED, unprivileged=True)  # fmt: skip
    yield Case("rank a read-only store", ["rank"], "works", _read_only_store, unprivileged=True)
    yield Case("rank in a read-only folder", ["rank"], "works", _read_only, unprivileged=True)


def _inline(name: str) -> list[str]:
    return ["--inline", "--quiet"] if name == "run" else []


def _module(name: str) -> str:
    return UNTRAINED if name == "run" else "hpsearch"


def _made(name: str, make: things.Maker) -> things.Maker:
    def prepare(folder: Path) -> None:
        make(folder / name)

    return prepare


def _read_only(folder: Path) -> None:
    folder.chmod(0o555)


def _read_only_store(folder: Path) -> None:
    (folder / "store.db").chmod(0o444)
    folder.chmod(0o555)


def attack_places(sample: int | None, seed: int) -> Figures:
    return attack("places", list(cases()), sample, seed)
