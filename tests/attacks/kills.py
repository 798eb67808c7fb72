"""Kill searches that really train, again and again; in the end nothing may be lost.

A search is run once undisturbed. Then it is run in another store, killed at a random instant, run
again, killed again, and so on; once it ends, its journal has to be that of the undisturbed search.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import NoStoreError
from hpsearch.store import Asked, Store
from tests.attacks import processes
from tests.attacks.commands import ROOT, throw_away
from tests.attacks.figures import Figures

LIMIT = 300.0  # seconds without an end: it hangs. Whoever is killed shares the machine with others
KILLS = 14  # of one search, if it lasts so long
AT_ONCE = 2  # searches that are killed side by side
WORKERS_IN_A_ROW = 2  # workers of one run that are killed; a trial whose worker dies five times fails

STUDY = """
import numpy as np
from hpsearch import *
from spaces import mlp

rng = np.random.default_rng(0)
x = rng.normal(size=(240, 6)).astype("float32")
y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype("int64")
study = Study(
    task=Task("made", Data(x, y), loss="binary_crossentropy", metric="accuracy"),
    space=Space(
        learning_rate=Float(1e-3, 1e-1, log=True),
        dropout=Float(0.0, 0.5),
        optimizer=Choice("adam", "rmsprop"),
    ),
    build=mlp.model(hidden=(8,)),
    searcher=Hyperband(max_epochs=4, eta=2),
    evaluator=KFold(3),
)
"""
TWO = ("--per-device", "2")
REPEATS = ("--repeats", "1", "--finalists", "2")
KERASTUNER = ("--searcher", "kerastunerhyperband:max_epochs=4,eta=2", "--evaluator", "kfold:2")
TENSORFLOW = ("--backend", "tensorflow", "--searcher", "random:trials=6,epochs=4")
FIT = (  # options of the searches; one may stand here more than once
    REPEATS,
    (*REPEATS, *TWO),
    KERASTUNER,
    REPEATS,
    (*REPEATS, *TWO),
    (*KERASTUNER, *TWO),
    TENSORFLOW,
)
AUTO = (
    REPEATS,
    (*REPEATS, *TWO),
    (*KERASTUNER, *REPEATS),
    TWO,
    (*REPEATS, *TWO),
    (*KERASTUNER, *TWO),
    TENSORFLOW,
)
BLOWS = {  # by how often they come
    "kill the parent": 4,
    "kill a worker": 4,
    "kill all": 3,
    "Ctrl-C": 2,
    "SIGTERM": 2,
    "Ctrl-C twice": 1,
}


@dataclass
class Search:
    """A search in a folder of its own, and the kills that it got."""

    folder: Path
    options: Sequence[str]
    env: dict[str, str]
    store: str = "store.db"
    log: list[str] = field(default_factory=list)

    def start(self) -> "Running":
        return Running(self)


class Running:
    """One run of a search, known by a mark that its processes inherit."""

    def __init__(self, search: Search) -> None:
        self.search, self.mark = search, uuid.uuid4().hex
        self.out = open(search.folder / "out", "w+b")
        self.err = open(search.folder / "err", "w+b")
        self.workers_killed = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hpsearch", "run", "study.py", "--store", search.store,
             "--devices", "cpu", "--checkpoint-every", "1", *search.options],
            cwd=search.folder,
            env={**search.env, "HPSEARCH_MARK": self.mark},
            stdout=self.out,
            stderr=self.err,
            start_new_session=True,
        )  # fmt: skip

    @property
    def lines(self) -> int:
        """How many lines it printed: one for every trial that ended."""
        return (self.search.folder / "out").read_bytes().count(b"\n")

    def wait(self, dice: random.Random, loads: float) -> bool:
        """Wait for a random instant, while it loads or later; whether it still runs then."""
        if self.workers_killed == 0 and dice.random() < 0.3:
            return not self._ends_within(dice.uniform(0.0, loads))
        goal, deadline = self.lines + dice.choice((1, 1, 2, 3)), time.monotonic() + LIMIT
        while self.lines < goal and time.monotonic() < deadline:
            if self._ends_within(0.02):
                return False
        return not self._ends_within(dice.uniform(0.0, 0.5))

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
        else:  # as a terminal does it: everybody in the foreground gets it
            for _ in range(1 + (blow == "Ctrl-C twice")):
                try:
                    os.killpg(self.process.pid, signal.SIGINT)
                except ProcessLookupError:
                    pass
                self._ends_within(0.3)
        return blow

    def end(self) -> tuple[int | None, str]:
        """Wait until it ends; its exit code, None where it hangs, and what it had to say."""
        code: int | None = None
        if self._ends_within(LIMIT):
            code = self.process.returncode
        left = not processes.no_orphans(self.mark, 20.0) if code is not None else False
        processes.kill_family(self.mark)
        self.process.wait()
        self.out.close()
        self.err.close()
        err = (self.search.folder / "err").read_text(errors="replace")
        return code, err + ("\nPROCESSES WERE LEFT BEHIND" if left else "")

    def _ends_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def journal(path: Path, *, ordered: bool) -> list[str]:
    """Every event with its point, curves and values, each to the last bit, and all repeats.

    ordered: as they came, by the trials' numbers; else whatever their order: with two workers,
    which trial ends first, and so what is asked next, is a matter of chance.
    """
    with Store(path) as store:
        (search,) = store.searches()
        opened = store.journal(search.id)
        events = list(opened.events())
        asked = {e.trial: e.answer for e in events if isinstance(e, Asked) and e.id is not None}
        trainings = {trial: opened.trainings(trial) for trial in asked}
    if ordered:
        found = [f"{'asked' if isinstance(e, Asked) else 'told'} {e.trial}" for e in events]
    else:
        found = []
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
    return found + (trials if ordered else sorted(trials))


def wrong_end(blow: str, code: int | None, err: str) -> tuple[str, str] | None:
    """What is wrong with how a run ended after a blow: the verdict and why; None: nothing is."""
    if code is None:
        return "hang", f"still there after {LIMIT:g} s"
    # Until its main function begins, a signal is answered by Python itself.
    before_main = re.search(r"\bin main\n", err) is None and "hpsearch: " not in err
    if before_main and blow in ("Ctrl-C", "Ctrl-C twice", "SIGTERM") and code in (1, -2, -15):
        return None
    if "Traceback" in processes.own_errors(err):
        return "traceback", err[-3000:]
    wanted = {"kill the parent": -9, "kill all": -9, "kill a worker": 0, "nothing": 0}
    if code not in (0, wanted.get(blow, 130)):
        return "unclear", f"exit code {code}: {err[-1000:]}"
    if "PROCESSES WERE LEFT BEHIND" in err:
        return "unclear", "a worker outlives its run by 20 s"
    return None


def kill_until_it_ends(
    search: Search,
    kills: int,
    loads: float,
    wanted: Sequence[str],
    dice: random.Random,
    between: Callable[[Path, random.Random], None],
) -> list[tuple[str, str]]:
    """Run a search, killing it again and again; a verdict and a reason for every kill."""
    ends: list[tuple[str, str]] = []
    code: int | None
    struck, ordered, code = 0, "--per-device" not in search.options, None
    while code != 0:
        run, blow = search.start(), "nothing"
        while struck < kills and run.wait(dice, loads):
            blow = run.strike(dice)
            struck += 1
            search.log.append(f"after {run.lines} lines: {blow}")
            ends.append(("equal", ""))
            if blow != "kill a worker":
                break
        code, err = run.end()
        if wrong := wrong_end(blow, code, err):
            ends[-1:] = [wrong]
            if wrong[0] == "hang" or blow in ("nothing", "kill a worker"):
                return ends  # the next run would not end otherwise
        if code != 0:
            between(search.folder, dice)
    try:
        found = journal(search.folder / search.store, ordered=ordered)
    except NoStoreError as error:
        found = [str(error)]
    if found != list(wanted):
        different = [line for line in found if line not in wanted]
        ends = [end if end[0] != "equal" else ("wrong value", "") for end in ends]
        ends.append(("wrong value", f"{len(different)} lines differ: {different[:2]}"[:2000]))
    return ends


def attack(
    searches: Sequence[Sequence[str]],
    sample: int | None,
    seed: int,
    between: Callable[[Path, random.Random], None] = lambda folder, dice: None,
) -> Figures:
    """Kill these searches KILLS times each, or all of them `sample` times.

    between: what befalls a search's folder after each run that did not end well.
    """
    left, chosen = KILLS * len(searches) if sample is None else sample, []
    for options in searches:
        if left > 0:
            chosen.append((options, min(left, KILLS)))
            left -= KILLS
    figures, lock = Figures("kills"), threading.Lock()
    whole: dict[Sequence[str], tuple[list[str], float]] = {}
    with throw_away() as folder:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}

        def run_undisturbed(options: Sequence[str]) -> None:
            if options not in whole:
                search = _search(folder / f"whole-{len(whole)}", options, env)
                run = search.start()
                while run.lines == 0 and run.process.poll() is None:
                    time.sleep(0.02)
                loads = time.monotonic() - began
                code, err = run.end()
                assert code == 0, err
                ordered = "--per-device" not in options
                whole[options] = journal(search.folder / search.store, ordered=ordered), loads

        def one(number: int) -> None:
            options, kills = chosen[number]
            search = _search(folder / f"killed-{number}", options, env)
            wanted, loads = whole[options]
            dice = random.Random(f"{seed} {number}")
            ends = kill_until_it_ends(search, kills, loads, wanted, dice, between)
            with lock:
                for verdict, reason in ends:
                    how = f"run {' '.join(options)}"
                    figures.add(verdict, f"{number}: {how}", f"{reason}\n  {search.log}")

        for options, _ in chosen:
            began = time.monotonic()
            run_undisturbed(options)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(len(chosen))))
    return figures


def _search(folder: Path, options: Sequence[str], env: dict[str, str]) -> Search:
    folder.mkdir()
    (folder / "study.py").write_text(STUDY)
    return Search(folder, options, env)


def kill_fit(sample: int | None, seed: int) -> Figures:
    """By `--engine fit`, where every bit has to be the same."""
    return attack([(*options, "--engine", "fit") for options in FIT], sample, seed)


def kill_auto(sample: int | None, seed: int) -> Figures:
    """By the default engine, which trains side by side what it can."""
    return attack(AUTO, sample, seed)


ATTACKS = {"fit": kill_fit, "auto": kill_auto}
