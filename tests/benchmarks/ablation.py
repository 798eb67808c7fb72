"""What does each part of `Auto` bring? `python -m tests.benchmarks.ablation FOLDER`.

Mean normalised regret on a surrogate of learning curves, for `Auto` as it is and with one thing changed at
a time. FOLDER holds `evaluate.py`, which drives a search by ask and tell, and its data; it needs onnxruntime.
`--until 50`: to so many full trainings. `--seeds 3 --first 400`: which seeds. `--only xi`: changes so named.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy is loaded

import argparse
import importlib
import json
import math
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core import trial
from hpsearch.searchers import Auto
from hpsearch.searchers.auto import auto, candidates, evidence, process, round


def rules(**changes: float) -> Callable[[], None]:
    return lambda: setattr(auto, "RULES", replace(auto.RULES, **changes))  # type: ignore[arg-type]


def patch(place: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(place, name, value)


def at_random(self: candidates.CandidateSampler, count: int, seed: int) -> Any:
    return self.sample_anywhere(count, np.random.default_rng(seed))


def standardized(losses: Any) -> Any:
    return (losses.mean() - losses) / losses.std()


def without_own_terms() -> None:
    begin = process.GaussianProcess.__post_init__

    def begun(self: process.GaussianProcess) -> None:
        begin(self)
        self.theta[-2] = self.mean[-2] = math.log(1e-6)
        self.sd[-2] = 1e-3

    process.GaussianProcess.__post_init__ = begun  # type: ignore[method-assign]


CHANGES: dict[str, Callable[[], None]] = {
    "as it is": lambda: None,
    "full trainings only": patch(auto, "rungs", lambda max_epochs, eta: [max_epochs]),
    "losses standardized, not their ranks": patch(evidence, "normal_scores", standardized),
    "no term of a point's own": without_own_terms,
    "first points at random": patch(candidates.CandidateSampler, "spread_evenly", at_random),
    "asked after the first points, without halving them": patch(round, "LAST_RUNG_POINTS", 99),
    "the most probable hyperparameters alone": patch(
        process.GaussianProcess, "draw_theta", lambda self, _: self
    ),
    "xi stays 0.5": rules(fade=math.inf),
    "xi is 0.05 from the start": rules(xi=0.05, bold=0.0),
    "xi falls in all asks": rules(bold=0.0),
    "no random points": rules(explore=0.0),
    "always to the next rung": rules(explained=0.0),
    "no rung's least share": rules(share=0.0),
    "never begun again": rules(restart=math.inf),
    "no steps that stop at an end": patch(candidates, "STOPPED", 0.0),
    "rungs that double": rules(eta=2),
    "no wider opening for many in flight": rules(widest=27),
}


def load_driver(folder: str) -> Any:
    """`evaluate.py`, which looks for what a search is asked and told in a module of another name."""
    sys.modules["hpsearch.trial"] = trial
    sys.path.insert(0, folder)
    return importlib.import_module("evaluate")


def regrets(
    task: tuple[str, int], change: str, folder: str, until: int, flight: int
) -> list[float]:
    """Of one search, after each number of trainings that `evaluate.py` lists."""
    evaluate = load_driver(folder)
    CHANGES[change]()
    evaluate.POINTS = [point for point in evaluate.POINTS if point <= until]
    instance, seed = task
    log = evaluate.run(lambda: Auto(trials=10 * until, max_epochs=51), instance, seed, flight, 0.0)
    known = json.loads(Path(folder, "data", "reference.json").read_text())["inner"][instance]
    best, median = known["y_best"], known["y_median"]
    lasts = [[value for used, value in log if used <= 51 * point][-1] for point in evaluate.POINTS]
    return [(best - value) / (best - median) for value in lasts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--until", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=400)
    parser.add_argument("--inflight", type=int, default=1)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    evaluate = load_driver(given.folder)
    seeds = range(given.first, given.first + given.seeds)
    tasks = [(instance, seed) for seed in seeds for instance in evaluate.DEV]
    points = [point for point in evaluate.POINTS if point <= given.until]
    print(f"{len(tasks)} searches each, {given.inflight} in flight; regret after {points}")
    for change in CHANGES:
        if given.only not in change:
            continue
        search = partial(
            regrets,
            change=change,
            folder=given.folder,
            until=given.until,
            flight=given.inflight,
        )
        # A process a search: what is patched dies with it.
        with multiprocessing.Pool(maxtasksperchild=1) as pool:
            found = np.array(pool.map(search, tasks, chunksize=1))
        by_seed = found.reshape(given.seeds, -1, len(points))
        spread = by_seed.std(axis=0, ddof=1) if given.seeds > 1 else 0 * by_seed[0]
        errors = np.sqrt((spread**2).mean(axis=0) / len(tasks))
        cells = [f"{m:.3f} ({e:.3f})" for m, e in zip(found.mean(axis=0), errors, strict=True)]
        print(f"{change:52} {'  '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
