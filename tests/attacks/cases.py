"""Commands as cases: what each may do, the folder they run in, and running many of them."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hpsearch import Holdout, Random
from hpsearch.core.trial import Failure
from hpsearch.store import Store
from tests import filled
from tests.attacks.commands import LIMIT, NOT_ROOT, Ended, judge, run, throw_away
from tests.attacks.figures import BAD, Figures, draw, show_progress

UNTRAINED = "tests.attacks.untrained"  # instead of "hpsearch": nothing is really trained

STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(dropout=Float(0.0, 0.5), optimizer=Choice("adam", "sgd")),
    build=mlp.model(hidden=(8,)),
    searcher=Random(trials=3, epochs=2),
    evaluator=Holdout(rows=300),
)
"""
TABLE = "width,colour,kind\n" + "".join(
    f"{i % 7 + i / 10},{'red' if i % 3 else 'blue'},{'ab'[i % 2]}\n" for i in range(60)
)
STORE_FILES = ("store.db-wal", "store.db-shm", "store.db.lock", "locks", "locks/*")


@dataclass(frozen=True)
class Case:
    """A command, and how it must end.

    name: what is tried, in a few words. arguments: of the command. expect, writes, check: as
    `commands.judge` has them. prepare: what makes of the furnished folder what the case needs.
    unprivileged: run without root's right to read and write everything. fresh: by an interpreter of
    its own.
    once_failed: this case did fail at some time, and is part of every sample.
    """

    name: str
    arguments: Sequence[str]
    expect: str = "clear"
    prepare: Callable[[Path], None] | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    stdin: bytes | None = None
    limit: float = LIMIT
    writes: Sequence[str] = ()
    check: Callable[[Path, Ended], str] | None = None
    module: str = "hpsearch"
    unprivileged: bool = False
    fresh: bool = False
    once_failed: bool = False


@cache
def _furnished() -> tempfile.TemporaryDirectory[str]:
    """A folder as people have them: a study, a table, and a store with a finished search."""
    folder = tempfile.TemporaryDirectory(prefix="furnished-")
    path = Path(folder.name)
    (path / "study.py").write_text(STUDY)
    (path / "table.csv").write_text(TABLE)
    (path / "mine").mkdir()
    (path / "mine" / "thesis.txt").write_text("three years of work")
    with Store(path / "store.db", create=True) as store:
        failed = {2: Failure("exception", "ValueError: too wide", "Traceback ...")}
        searcher, evaluator = Random(trials=8, epochs=4), Holdout(rows=300)
        filled.fill(store, searcher, evaluator, study="filled", fail=failed, running=1)
    return folder


def furnish(folder: Path) -> None:
    shutil.copytree(_furnished().name, folder, dirs_exist_ok=True, symlinks=True)


def attempt(case: Case) -> tuple[str, str]:
    """Run a case in a folder of its own; the verdict, and what was seen."""
    if case.unprivileged and not NOT_ROOT:
        return "", "there is no `setpriv`, without which root may read and write everything"
    with throw_away() as folder:
        furnish(folder)
        if case.prepare:
            case.prepare(folder)
        ended = run(
            case.arguments,
            folder,
            env={"HPSEARCH_STORE": "store.db", **case.env},
            stdin=case.stdin,
            limit=case.limit,
            module=case.module,
            unprivileged=case.unprivileged,
            fresh=case.fresh,
        )
        check = case.check
        return judge(
            ended,
            case.expect,
            writes=(*STORE_FILES, *case.writes),
            check=None if check is None else lambda ended: check(folder, ended),
        )


def attack(name: str, cases: Sequence[Case], sample: int | None, seed: int) -> Figures:
    """Run cases, two at a time, with a line of progress every few seconds."""
    twice = {case.name for case in cases if [each.name for each in cases].count(case.name) > 1}
    assert not twice, f"cases of the same name: {twice}"
    figures = Figures(name)
    chosen = draw(cases, sample, seed, lambda case: case.once_failed)
    _furnished()  # once, before two threads want it
    with ThreadPoolExecutor(2) as pool:
        ended = pool.map(attempt, chosen)
        for case, (verdict, detail) in zip(show_progress(name, chosen), ended, strict=True):
            if verdict:
                figures.add(verdict, case.name, detail)
            if verdict in BAD:  # at once: all of them take long
                print(f"{verdict}: {case.name}", file=sys.stderr, flush=True)
    return figures
