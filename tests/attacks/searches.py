"""Searches to attack: run in a folder of their own, disturbed, and compared by their journals."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.store import AskedEvent, Store
from tests.attacks import processes
from tests.attacks.commands import ROOT

LIMIT = 300.0  # seconds without an end: it hangs; the machine may be busy with other tests
REAL = ("-m", "hpsearch", "run")
CHAINED = (  # everything is real but the training, whose epochs are links in a chain of hashes
    "-c",
    "import sys; from tests import fakes; from hpsearch.runs import worker;"
    "worker.prepare_from_file = fakes.prepare_chain;"
    "sys.argv[1:1] = ['run'];"
    "from hpsearch.commands.main import main\nif __name__ == '__main__': main()",
)
CHAIN_STUDY = """
from hpsearch import *

study = Study(
    task=Task("chain", lambda: None, loss="mse", metric="mae"),
    space=Space(a=Float(0.0, 1.0), b=Choice("x", "y")),
    build=lambda spec, **params: None,
    searcher=SEARCHER,
)
"""
BLOWS = {  # by how often they come
    "kill the parent": 4,
    "kill a worker": 4,
    "kill all": 3,
    "Ctrl-C": 2,
    "SIGTERM": 2,
    "Ctrl-C twice": 1,
}
WORKERS_IN_A_ROW = 2  # that are killed in one run; a trial whose worker dies five times fails


@dataclass
class Search:
    """A study in a folder of its own, and what it is run with.

    program: REAL or CHAINED. log: what befell it.
    """

    folder: Path
    study: str
    options: Sequence[str] = ()
    program: Sequence[str] = REAL
    env: dict[str, str] = field(default_factory=dict)
    store: str = "store.db"
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "study.py").write_text(self.study)

    def start(self) -> "Running":
        return Running(self)

    def journal(self, *, ordered: bool = False) -> list[str]:
        return journal(self.folder / self.store, ordered=ordered)


class Running:
    """One run of a search, known by a mark that its processes inherit."""

    def __init__(self, search: Search) -> None:
        self.search, self.mark = search, uuid.uuid4().hex
        self.logs = search.folder / "logs" / self.mark  # where a full disk does not reach
        self.logs.mkdir(parents=True)
        self.out, self.err = (open(self.logs / name, "wb") for name in ("out", "err"))
        self.workers_killed = 0
        self.process = subprocess.Popen(
            [sys.executable, *search.program, "study.py", "--store", search.store, *search.options],
            cwd=search.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "HPSEARCH_BASELINES": "off",  # the journal that is compared is the search's
                **search.env,
                "HPSEARCH_MARK": self.mark,
            },
            stdout=self.out,
            stderr=self.err,
            start_new_session=True,
        )

    @property
    def lines(self) -> int:
        """How many lines it printed: one for every trial that ended."""
        return (self.logs / "out").read_bytes().count(b"\n")

    def wait_for_lines(self, count: int) -> bool:
        """Wait until it printed so many; whether it still runs then."""
        deadline = time.monotonic() + LIMIT
        while self.lines < count and time.monotonic() < deadline:
            if self.ends_within(0.02):
                return False
        return not self.ends_within(0)

    def wait_for_an_instant(self, dice: random.Random, loads: float) -> bool:
        """Wait until a random instant, while it loads or later; whether it still runs then."""
        if self.workers_killed == 0 and dice.random() < 0.3:
            return not self.ends_within(dice.uniform(0.0, loads))
        self.wait_for_lines(self.lines + dice.choice((1, 1, 2, 3)))
        return not self.ends_within(dice.uniform(0.0, 0.5))

    def strike(self, dice: random.Random) -> str:
        """Send what is drawn to whom it is drawn for; returns what it was."""
        [blow] = dice.choices(list(BLOWS), list(BLOWS.values()))
        worker = processes.a_worker(self.mark, self.process.pid, dice)
        if blow == "kill a worker" and (worker is None or self.workers_killed >= WORKERS_IN_A_ROW):
            blow = "kill the parent"
        if blow == "kill a worker" and worker is not None:
            self.workers_killed += 1
            processes.send(worker, signal.SIGKILL)
        elif blow == "kill the parent":
            processes.send(self.process.pid, signal.SIGKILL)
        elif blow == "kill all":
            processes.kill_family(self.mark)
        elif blow == "SIGTERM":
            processes.send(self.process.pid, signal.SIGTERM)
        else:
            for _ in range(1 + (blow == "Ctrl-C twice")):
                self.press_ctrl_c()
                self.ends_within(0.3)
        return blow

    def press_ctrl_c(self) -> None:
        """As a terminal does it: everybody in the foreground gets the signal."""
        try:
            os.killpg(self.process.pid, signal.SIGINT)
        except ProcessLookupError:
            pass

    def end(self, limit: float = LIMIT) -> "End":
        """Wait until it ends, and see what it leaves."""
        code = self.process.returncode if self.ends_within(limit) else None
        orphans = code is not None and not processes.no_orphans(self.mark, 20.0)
        processes.kill_family(self.mark)
        self.process.wait()
        self.out.close()
        self.err.close()
        out, err = ((self.logs / name).read_text(errors="replace") for name in ("out", "err"))
        return End(code, out, processes.own_errors(err), orphans)

    def ends_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


@dataclass(frozen=True)
class End:
    """How a run ended. code: None: it hangs. orphans: whether a process outlives it by 20 s."""

    code: int | None
    out: str
    err: str
    orphans: bool


def journal(path: Path, *, ordered: bool = False, study: str | None = None) -> list[str]:
    """Every event with its point, curves and values, each to the last bit, and all repeats.

    ordered: as they came, by the trials' numbers; else whatever their order: with two workers,
    which trial ends first, and so what is asked next, is a matter of chance. study: of several.
    """
    with Store(path) as store:
        (search,) = store.searches(study)
        opened = store.journal(search.id)
        events = list(opened.events())
        asked = {
            e.trial: e.answer for e in events if isinstance(e, AskedEvent) and e.id is not None
        }
        trainings = {trial: opened.trainings(trial) for trial in asked}
    trials = []
    for trial, answer in asked.items():
        record: list[Any] = [answer.params, answer.epochs, answer.parent is None]
        for outcome in trainings[trial]:
            score, failure = outcome.score, outcome.failure
            record.append(failure and [failure.kind, failure.message])
            record.append(score and [score.value, score.se, score.best_epoch])
            for fold in score.folds if score else ():
                record.append(
                    [fold.train, fold.validation, fold.train_loss, fold.validation_loss, fold.rows]
                )
        trials.append(json.dumps(record, sort_keys=True))
    if not ordered:
        return sorted(trials)
    return [
        f"{'asked' if isinstance(e, AskedEvent) else 'told'} {e.trial}" for e in events
    ] + trials
