"""Kill searches that really train, again and again; in the end nothing may be lost.

A search is run once undisturbed. Then it is run in another store, killed at a random instant, run
again, killed again, and so on; once it ends, its journal has to be that of the undisturbed search.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hpsearch.core.errors import NoStoreError
from tests.attacks.commands import throw_away
from tests.attacks.figures import Figures
from tests.attacks.searches import LIMIT, End, Search

KILLS = 18  # of one search, if it lasts so long
AT_ONCE = 2  # searches that are killed side by side

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
ALWAYS = ("--devices", "cpu", "--checkpoint-every", "1")
TWO = ("--per-device", "2")
REPEATS = ("--repeats", "1", "--finalists", "2")
KERASTUNER = ("--searcher", "kerastunerhyperband:max_epochs=4,eta=2", "--evaluator", "kfold:2")
BATCHES = ("--searcher", "auto:trials=8,max_epochs=4", "--together", "4")
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
    BATCHES,
)

Between = Callable[[Path, random.Random], None]


def wrong_end(blow: str, end: End) -> tuple[str, str] | None:
    """What is wrong with how a run ended after a blow: the verdict and why; None: nothing is."""
    if end.code is None:
        return "hang", f"still there after {LIMIT:g} s"
    # Until its main function begins, a signal is answered by Python itself.
    before_main = re.search(r"\bin main\n", end.err) is None and "hpsearch: " not in end.err
    if before_main and blow in ("Ctrl-C", "Ctrl-C twice", "SIGTERM") and end.code in (1, -2, -15):
        return None
    if "Traceback" in end.err:
        return "traceback", end.err[-3000:]
    wanted = {"kill the parent": -9, "kill all": -9, "kill a worker": 0, "nothing": 0}
    if end.code not in (0, wanted.get(blow, 130)):
        return "unclear", f"exit code {end.code}: {end.err[-1000:]}"
    return ("unclear", "a worker outlives its run by 20 s") if end.orphans else None


def kill_until_it_ends(
    search: Search,
    kills: int,
    loads: float,
    wanted: Sequence[str],
    dice: random.Random,
    between: Between,
) -> list[tuple[str, str]]:
    """Run a search, killing it again and again; a verdict and a reason for every kill."""
    ends: list[tuple[str, str]] = []
    struck, code = 0, None
    while code != 0:
        run, blow = search.start(), "nothing"
        while struck < kills and run.wait_for_an_instant(dice, loads):
            blow = run.strike(dice)
            struck += 1
            search.log.append(f"after {run.lines} lines: {blow}")
            ends.append(("equal", ""))
            if blow != "kill a worker":
                break
        end = run.end()
        code = end.code
        if wrong := wrong_end(blow, end):
            ends[-1:] = [wrong]
            if end.code is None or blow in ("nothing", "kill a worker"):
                return ends  # the next run would not end otherwise
        if code != 0:
            between(search.folder, dice)
    try:
        found = search.journal(ordered=in_order(search.options))
    except NoStoreError as error:
        found = [str(error)]
    if found != list(wanted):
        different = [line for line in found if line not in wanted]
        ends = [end for end in ends if end[0] != "equal"]
        ends.append(("wrong value", f"{len(different)} lines differ: {different[:2]}"[:2000]))
    return ends


def in_order(options: Sequence[str]) -> bool:
    """Whether trials end in one order only: side by side, and on two workers, they need not."""
    return "fit" in options and "--per-device" not in options


def attack(
    searches: Sequence[Sequence[str]],
    sample: int | None,
    seed: int,
    between: Between = lambda folder, dice: None,
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
        # Compiled programs are shared among them, and may be cut short by a kill too.
        env = {"XDG_CACHE_HOME": str(folder / "cache")}

        def run_undisturbed(options: Sequence[str]) -> tuple[list[str], float]:
            search = Search(folder / f"whole-{len(whole)}", STUDY, (*ALWAYS, *options), env=env)
            began, run = time.monotonic(), search.start()
            run.wait_for_lines(1)
            loads, end = time.monotonic() - began, run.end()
            assert end.code == 0, end
            return search.journal(ordered=in_order(options)), loads

        def kill(number: int) -> None:
            options, kills = chosen[number]
            search = Search(folder / f"killed-{number}", STUDY, (*ALWAYS, *options), env=env)
            wanted, loads = whole[options]
            dice = random.Random(f"{seed} {number}")
            ends = kill_until_it_ends(search, kills, loads, wanted, dice, between)
            with lock:
                for verdict, reason in ends:
                    case = f"{number}: run {' '.join(options)}"
                    figures.add(verdict, case, f"{reason}\n  {search.log}")

        for options, _ in chosen:
            if options not in whole:
                whole[options] = run_undisturbed(options)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(kill, range(len(chosen))))
    return figures


def kill_fit(sample: int | None, seed: int) -> Figures:
    """By `--engine fit`, where every bit has to be the same."""
    return attack([(*options, "--engine", "fit") for options in FIT], sample, seed)


def kill_auto(sample: int | None, seed: int) -> Figures:
    """By the default engine, which trains side by side what it can."""
    return attack(AUTO, sample, seed)


ATTACKS = {"fit": kill_fit, "auto": kill_auto}
