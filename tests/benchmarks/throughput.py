"""How much faster is a search side by side? `python -m tests.benchmarks.throughput [JOB...]`.

Each job is a random search, whole: models built, compiled, trained, validated at each epoch, and
scored. It is run as `hpsearch run --inline` does it, with an empty compilation cache and an empty
store, and by the plain loop that one writes with Keras (for each config and fold: build, compile,
`fit`), on the TensorFlow and on the JAX backend, over the same points; the loops over some of them
only. Every measurement is a process of its own, in turns; its clock starts once frameworks are
imported and, for the loops, the data is there. Where TensorFlow is not installed, its column is left
out. Memory is the GPU's where there is one, else the process's.

Data is made up, of the shape of the named: speed does not depend on what is in it. The last line is
one JSON object: how many times as fast as each loop, by the median time a config.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import Choice, Data, Float, Holdout, KFold, Random, Space, Study, Task
from hpsearch.evaluators import Evaluator
from hpsearch.training.peak import peak_bytes
from spaces import mlp
from tests.benchmarks.plain_loops import train_folds

ROUNDS = 3


@dataclass(frozen=True)
class Job:
    """loop: configs that the plain loops are measured over."""

    what: str
    configs: int
    loop: int
    epochs: int
    task: Callable[[], Task]
    space: Space
    build: Any
    evaluator: Evaluator


def made_up(
    name: str, rows: int, features: int, classes: int, *, sparse: bool = False
) -> Callable[[], Task]:
    """A task of random rows; a random linear map of them says what is right. classes: 0 for none."""

    def task() -> Task:
        rng = np.random.default_rng(0)
        if sparse:
            x = (rng.random((rows, features), dtype=np.float32) < 0.02).astype(np.uint8)
        else:
            x = rng.random((rows, features), dtype=np.float32)
        if name == "mnist":
            x = (255 * x).astype(np.uint8) if sparse else x
        scores = (x - x.mean(axis=0)) @ rng.normal(size=(features, max(1, classes)))
        y: Any = scores[:, 0].astype(np.float32)
        loss, metric = "mse", "mae"
        if classes == 1:
            y, loss, metric = (y > 0).astype(np.float32), "binary_crossentropy", "accuracy"
        elif classes > 1:
            y, loss, metric = scores.argmax(1), "sparse_categorical_crossentropy", "accuracy"
        if classes:
            return Task(name=name, data=Data(x, y), loss=loss, metric=metric)
        from sklearn.preprocessing import StandardScaler

        return Task(
            name=name, data=Data(x, y), loss=loss, metric=metric, preprocess=StandardScaler()
        )

    return task


def digits() -> Task:
    from hpsearch.tasks import digits

    return digits.task()


def regularized(**more: Any) -> Space:
    return Space(
        dropout=Float(0.05, 0.5),
        l2=Float(1e-6, 1e-2, log=True),
        learning_rate=Float(1e-4, 1e-2, log=True),
        **more,
    )


def mixed(how: str, loop: int, evaluator: Evaluator) -> Job:
    return Job(
        f"digits (1,437 x 64), {how}, widths 16 to 128 in 1 to 3 layers, 2 optimizers, 2 batch "
        "sizes, 20 epochs",
        60,
        loop,
        20,
        digits,
        Space(
            mlp.widths(3, 16, 128),
            dropout=Float(0.05, 0.5),
            l2=Float(1e-6, 1e-2, log=True),
            optimizer=Choice("rmsprop", "adam"),
            batch_size=Choice(32, 64),
        ),
        mlp.model(),
        evaluator,
    )


JOBS = {
    "a": Job(
        "Boston (404 x 13), 64-64, 4 folds, 100 epochs, batch 16",
        64,
        2,
        100,
        made_up("boston", 404, 13, 0),
        regularized(batch_size=Choice(16)),
        mlp.model(hidden=(64, 64)),
        KFold(4),
    ),
    "b": Job(
        "IMDB (15,000 + 10,000 x 10,000 multi-hot), 16-16, 20 epochs, batch 512, shared batches",
        16,
        2,
        20,
        made_up("imdb", 25_000, 10_000, 1, sparse=True),
        regularized(batch_size=Choice(512)),
        mlp.model(hidden=(16, 16)),
        Holdout(rows=10_000, shuffle=False, shared_batches=True),
    ),
    "c": Job(
        "MNIST (55,000 + 5,000 x 784), 512-256-128, 3 epochs, batch 100, shared batches",
        8,
        2,
        3,
        made_up("mnist", 60_000, 784, 10),
        regularized(batch_size=Choice(100)),
        mlp.model(hidden=(512, 256, 128)),
        Holdout(rows=5000, shuffle=False, shared_batches=True),
    ),
    "d": mixed("4 folds", 3, KFold(4)),
    "e": mixed("one holdout of 300 rows", 6, Holdout(rows=300)),
}


def study(job: Job, searcher: Any = None) -> Study:
    return Study(
        task=job.task(),
        space=job.space,
        build=job.build,
        searcher=searcher or Random(trials=job.configs, epochs=job.epochs),
        evaluator=job.evaluator,
        start=(),  # the loops train the same points
        name="throughput",
    )


def points(job: Job) -> list[Any]:
    """Those that the search tries, in its order."""
    from hpsearch.core.seeds import derive_seed
    from hpsearch.searchers.base import generate_points

    drawn = generate_points(
        job.space, seed=derive_seed(derive_seed(0, "search"), "points"), first=()
    )
    return [next(drawn) for _ in range(job.configs)]


def by_hand(job: Job, data: Any, configs: list[Any]) -> list[float]:
    """The loop that one writes with Keras; returns each config's best metric."""
    task, x = job.task(), data.x.astype(np.float32)
    splits = job.evaluator.splits(task, data, seed=0)
    return [
        train_folds(job.build, task, x, data.y, splits, params, job.epochs) for params in configs
    ]


def measure(name: str, engine: str) -> dict[str, float]:
    """Seconds a config, in this process."""
    job = JOBS[name]
    import keras  # the clock does not count what imports take

    if engine in ("tensorflow", "jax"):
        data = job.task().load()
        configs = points(job)[: job.loop]
        start = time.perf_counter()
        by_hand(job, data, configs)
        seconds = (time.perf_counter() - start) / len(configs)
    else:
        seconds = searched(name, engine)
    peak = peak_bytes(os.environ["KERAS_BACKEND"]) / 2**20
    assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
    return {"seconds": seconds, "megabytes": peak}


def searched(name: str, engine: str) -> float:
    """Seconds a config of the whole search, by `hpsearch run --inline`."""
    from hpsearch.runs import session
    from hpsearch.runs.display import NoDisplay
    from hpsearch.runs.load import Overrides, load_study
    from hpsearch.runs.options import RunOptions

    job = JOBS[name]
    task = job.task()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.py")
        file.write_text(
            "from tests.benchmarks import throughput\n"
            f"study = throughput.study(throughput.JOBS[{name!r}])\n"
        )
        loaded = load_study(file, Overrides())
        assert task.name
        start = time.perf_counter()
        how = RunOptions(
            file,
            Path(folder, "store.db"),
            Overrides(),
            "jax",
            engine=engine,
            inline=True,
        )
        ended = session.run_study(loaded, how, NoDisplay())
        seconds = time.perf_counter() - start
        assert len(ended.ranking) == job.configs, ended.failures
    return seconds / job.configs


def in_a_process(name: str, engine: str) -> dict[str, float]:
    backend = engine if engine in ("tensorflow", "jax") else "jax"
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        environment["XDG_CACHE_HOME"] = cache
        command = [sys.executable, "-m", __spec__.name, name, "--measure", engine]
        ended = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="*", default=list(JOBS))
    parser.add_argument("--measure")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.jobs[0], chosen.measure)))
        return
    ratios: dict[str, dict[str, float]] = {}
    for name in chosen.jobs:
        job = JOBS[name]
        print(f"({name}) {job.what}: {job.configs} configs, loops over {job.loop}", flush=True)
        engines = ["jax", "auto"]
        if importlib.util.find_spec("tensorflow"):
            engines.insert(0, "tensorflow")
        found: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
        for _ in range(chosen.rounds):
            for engine, measured in found.items():
                measured.append(in_a_process(name, engine))
        medians = {e: statistics.median(m["seconds"] for m in ms) for e, ms in found.items()}
        for engine, ms in found.items():
            times = ", ".join(f"{m['seconds']:.3f}" for m in ms)
            peak = statistics.median(m["megabytes"] for m in ms)
            label = {"auto": "hpsearch run"}.get(engine, f"Keras loop on {engine}")
            print(f"    {label}: {medians[engine]:.3f} s a config ({times}), {peak:.0f} MB at most")
        ratios[name] = {e: round(medians[e] / medians["auto"], 1) for e in engines[:-1]}
        print(f"    times as fast: {ratios[name]}", flush=True)
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
