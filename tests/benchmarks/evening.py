"""What does an evening bring? `python -m tests.benchmarks.evening FILE [--tasks ...] [--methods ...]`.

The best value found after 15 to 300 seconds, counted from the start of the process, by each method
on four tasks, with the same space and folds. Ours are run by the command line, as a user does. The
loops are those that one writes with plain Keras: Optuna's TPE with full trainings, on JAX and on
TensorFlow, and KerasTuner's Hyperband. Cold: nothing was compiled before. Warm: a run with another
seed has filled the cache of compiled programs.

Runs take turns, one at a time, and are appended to FILE as lines of JSON: what is there is not run
again, so that it goes on where it was cut off. `--report` prints the medians of what FILE has. The
tasks need the real data, as HPSEARCH_DATA has it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hpsearch import Study, Task
from hpsearch.core.seeds import derive_seed
from hpsearch.runs.load import Overrides, load_study
from tests.benchmarks import plain_loops
from tests.conftest import ROOT

MOMENTS = (15, 30, 60, 120, 300)
OURS = {
    "auto": "auto:trials=2000,max_epochs={epochs}",
    "random": "random:trials=5000,epochs={epochs}",
    "hyperband": "hyperband:max_epochs={epochs},iterations=50",
}
LOOPS = {
    "optuna-jax": "jax",
    "optuna-tensorflow": "tensorflow",
    "kerastuner-jax": "jax",
    "kerastuner-tensorflow": "tensorflow",
}


# The studies whose spaces and folds they search, and the epochs of a full training.
TASKS = {
    "digits": ("digits_dropout", 27),
    "boston": ("boston_kfold", 81),
    "wine": ("wine_depth", 27),
    "seizures": ("seizure_accuracy", 27),
}


def study_file(name: str) -> Path:
    return ROOT / "studies" / f"{TASKS[name][0]}.py"


def load(name: str) -> Study:
    return load_study(study_file(name), Overrides())


# -- Ours


def run_ours(name: str, method: str, seed: int, seconds: float, cache: Path) -> list[Any]:
    """Seconds and value of each trial that ended, by the journal."""
    from hpsearch.store import Store, ToldEvent

    with tempfile.TemporaryDirectory() as folder:
        store, (_, epochs) = Path(folder, "store.db"), TASKS[name]
        searcher = OURS[method].format(epochs=epochs)
        command = [sys.executable, "-m", "hpsearch", "run", str(study_file(name))]
        command += ["--store", str(store)]
        command += ["--searcher", searcher, "--seed", str(seed), "--quiet"]
        command += ["--hours", str(seconds / 3600)]
        begun = time.time()
        subprocess.run(
            command, env=_environment("jax", cache), check=True, stdout=subprocess.DEVNULL
        )
        with Store(store) as opened:
            (search,) = opened.searches()
            journal = opened.journal(search.id)
            ends = dict(
                opened.db.query("SELECT trial, at FROM told WHERE search = :s", s=search.id)
            )
            return [
                (ends[event.trial] - begun, event.outcome.score.value)
                for event in journal.events()
                if isinstance(event, ToldEvent) and event.outcome.score is not None
            ]


def _environment(backend: str, cache: Path) -> dict[str, str]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    return environment | {"XDG_CACHE_HOME": str(cache)}


# -- The loops that one writes


def run_loop(name: str, method: str, seed: int, seconds: float, cache: Path) -> list[Any]:
    """The same of a loop, in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "-", "--tasks", name, "--methods", method]
    command += ["--seeds", str(seed), "--seconds", str(seconds), "--loop", str(time.time())]
    found = subprocess.run(
        command, env=_environment(LOOPS[method], cache), check=True, stdout=subprocess.PIPE
    )
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith(b"[")]


def print_loop(name: str, method: str, seed: int, seconds: float, begun: float) -> None:
    """Search by a loop until so many seconds after `begun`, printing [seconds, value] of each trial."""
    study, (_, epochs) = load(name), TASKS[name]
    task, data = study.task, study.task.load()
    splits = study.evaluator.splits(task, data, seed=derive_seed(seed, "splits"))  # as a run's
    assert study.build is not None

    def evaluate(params: dict[str, Any], epochs: int) -> float:
        if time.time() - begun > seconds:
            raise SystemExit
        value = plain_loops.train_folds(study.build, task, data.x, data.y, splits, params, epochs)
        print(json.dumps([time.time() - begun, value]), flush=True)
        return value

    search = (
        plain_loops.search_by_optuna
        if method.startswith("optuna")
        else plain_loops.search_by_kerastuner
    )
    search(study.space, epochs, task, seed, evaluate)


# -- All runs, and what they found


def runs(chosen: argparse.Namespace) -> Iterator[tuple[str, str, int, bool]]:
    """(task, method, seed, warm), in turns."""
    for seed in chosen.seeds:
        for name in chosen.tasks:
            for warm in chosen.warm:
                for method in chosen.methods:
                    if method in OURS or not warm:
                        yield name, method, seed, warm


def best_after(task: Task, trials: Sequence[Sequence[float]], seconds: float) -> float | None:
    values = [value for end, value in trials if end <= seconds]
    return values[task.objective.best(values)] if values else None


def report(lines: Sequence[dict[str, Any]]) -> None:
    """Medians over seeds, for each task, method, and cold or warm."""
    for name in TASKS:
        task = load(name).task
        print(f"\n{name} ({task.metric}), seconds: first result, and the best value after")
        groups: dict[tuple[str, bool], list[Any]] = {}
        for line in lines:
            if line["task"] == name:
                groups.setdefault((line["method"], line["warm"]), []).append(line["trials"])
        for (method, warm), found in groups.items():
            first = statistics.median(min(end for end, _ in trials) for trials in found)
            cells = []
            for moment in MOMENTS:
                values = [best_after(task, trials, moment) for trials in found]
                known = [v for v in values if v is not None]
                cells.append(f"{statistics.median(known):.4f}" if len(known) == len(found) else "-")
            state = "warm" if warm else "cold"
            print(f"  {method:22} {state} {len(found)} seeds  {first:5.1f}  {'  '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--methods", nargs="*", default=[*OURS, *LOOPS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--seconds", type=float, default=MOMENTS[-1])
    parser.add_argument("--warm", nargs="*", type=lambda t: t == "warm", default=[False, True])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--loop", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.loop is not None:
        print_loop(chosen.tasks[0], chosen.methods[0], chosen.seeds[0], chosen.seconds, chosen.loop)
        return
    file = Path(chosen.file)
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if chosen.report:
        report(lines)
        return
    known = {(line["task"], line["method"], line["seed"], line["warm"]) for line in lines}
    for name, method, seed, warm in runs(chosen):
        if (name, method, seed, warm) in known:
            continue
        with tempfile.TemporaryDirectory() as cache:
            run = run_ours if method in OURS else run_loop
            if warm:
                run(name, method, seed + 1000, chosen.seconds, Path(cache))
            load = os.getloadavg()[0]
            trials = run(name, method, seed, chosen.seconds, Path(cache))
        line = {"task": name, "method": method, "seed": seed, "warm": warm, "load": load}
        with file.open("a") as out:
            out.write(json.dumps(line | {"trials": trials}) + "\n")
        print(json.dumps(line | {"ended": len(trials)}), flush=True)


if __name__ == "__main__":
    main()
