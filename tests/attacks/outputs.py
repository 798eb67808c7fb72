"""Outputs onto what they must not overwrite: every writing command, onto everything that lies there."""

from collections.abc import Iterator
from pathlib import Path

from tests.attacks import things
from tests.attacks.cases import UNTRAINED, Case, attack
from tests.attacks.figures import Figures

# Commands that write, up to their -o; and what they write where nothing is wrong.
WRITERS: dict[str, list[str]] = {
    "report": ["report", "filled", "-o"],
    "compare": ["compare", "1", "2", "-o"],
    "export csv": ["export", "csv", "-o"],
    "export csv --force": ["export", "csv", "--force", "-o"],
    "export parquet --force": ["export", "parquet", "--force", "-o"],
    "export optuna --force": ["export", "optuna", "--force", "-o"],
    "export tensorboard --force": ["export", "tensorboard", "--force", "-o"],
    "init": ["init", "table.csv", "--target", "kind", "-o"],
    "init --force": ["init", "table.csv", "--target", "kind", "--force", "-o"],
}
SUFFIX = {"report": ".html", "compare": ".png", "init": ".py", "init --force": ".py"}
# What lies in the furnished folder and belongs to somebody else.
THEIRS = (
    "store.db",
    "store.db-wal",
    "store.db-shm",
    "study.py",
    "mine",
)
PLAIN = ("table.csv", "mine/thesis.txt")
# Nothing outside the case's folder: where hpsearch fails, it must not cost whoever runs this a file.
NOWHERE = {
    "nothing": "",
    "a space": " ",
    "this folder": ".",
    "its parent": "..",
    "a folder that is not there": "no/such/folder/x",
    "under a file": "study.py/x",
    "a name too long": "x" * 300,
    "a path too long": "/".join(["x" * 200] * 30),
    "a newline": "a\nb",
    "undecodable": "a\udcff",
    "a tilde": "~nobody/x",
    "a folder's end": "new/",
}
# Where these commands may write: their own new files beside nothing else.
MAY_BE_FINE = {
    "nothing",
    "a folder that is not there",
    "a space",
    "a newline",
    "undecodable",
    "a tilde",
    "a folder's end",
}


def cases() -> Iterator[Case]:
    for name, command in WRITERS.items():
        suffix = SUFFIX.get(name, "")
        for theirs in THEIRS if suffix != ".py" else THEIRS[:-1]:  # a study named mine is none
            yield Case(f"{name} onto {theirs}", [*command, theirs], prepare=_open_store)
        for theirs in PLAIN:  # a file may be replaced where that was asked for
            yield Case(f"{name} onto {theirs}", [*command, theirs], "either", writes=(theirs,))
        for what, make in things.NOT_TO_BE_REPLACED.items():
            if name == "report" and make is things.fifo:
                continue  # it waits for a reader, as whoever writes into one
            yield Case(
                f"{name} onto {what}",
                [*command, f"out{suffix}"],
                "either",
                _made(f"out{suffix}", make),
            )
        for what, where in NOWHERE.items():
            if what in MAY_BE_FINE:
                yield Case(f"{name} to {what}", [*command, where], "either", writes=_new(where))
            else:
                yield Case(f"{name} to {what}", [*command, where])
        yield Case(
            f"{name} in a read-only folder",
            [*command, f"out/x{suffix}"],
            prepare=_made("out", things.read_only_folder),
            unprivileged=True,
        )
        partial = f"out{suffix}.partial"
        for what, make in (("file", things.text), ("folder", things.full_folder)):
            yield Case(
                f"{name} where somebody has a {what} {partial}",
                [*command, f"out{suffix}"],
                "either",
                _made(partial, make),
                writes=(f"out{suffix}", f"out{suffix}/*"),
            )
        link = _made(f"out{suffix}", things.link_to_thesis)
        yield Case(
            f"{name} onto a link",
            [*command, f"out{suffix}"],
            "either",
            link,
            writes=(f"out{suffix}*",),
        )
    yield from _kept_folders()


def _kept_folders() -> Iterator[Case]:
    """Checkpoints, stores and studies' folders that are something else."""
    run = ["run", "study.py", "--inline", "--quiet"]
    for what, make in things.ODD.items():
        yield Case(
            f"run with checkpoints in {what}",
            [*run, "--checkpoints", "odd"],
            "either" if what in ("a folder", "a full folder", "a dangling link") else "clear",
            _made("odd", make),
            writes=("store.db", "odd/*-*", "nowhere*"),
            module=UNTRAINED,
        )
        yield Case(
            f"init where studies is {what}",
            ["init", "table.csv", "--target", "kind"],
            "either" if what in ("a folder", "a full folder", "a dangling link") else "clear",
            _made("studies", make),
            writes=("studies/table.py", "nowhere*"),
        )
    for what, make in things.NOT_TO_BE_REPLACED.items():
        yield Case(
            f"init --force where the study is {what}",
            ["init", "table.csv", "--target", "kind", "--force", "-o", "s.py"],
            "either" if "link" in what else "clear",
            _made("s.py", make),
        )


def _new(where: str) -> tuple[str, ...]:
    # The default's names, and those that the text names itself.
    defaults = ("report.html", "compare.png", "hpsearch-*", "studies*")
    return (*defaults, f"{where.strip('/')}*") if where.strip("/ ") else defaults


def _made(name: str, make: things.Maker) -> things.Maker:
    def prepare(folder: Path) -> None:
        make(folder / name)

    return prepare


def _open_store(folder: Path) -> None:
    """The store as it lies while a run writes to it: part of it in two more files."""
    for name in ("store.db-wal", "store.db-shm"):
        (folder / name).write_bytes(b"")


def attack_outputs(sample: int | None, seed: int) -> Figures:
    return attack("outputs", list(cases()), sample, seed)
