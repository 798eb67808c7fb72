"""Does a second worker pay? `python -m tests.benchmarks.workers`.

40 digits trials (2 folds, 8 epochs) by one worker on one core, and by two workers on a core each,
in turns in one run, the workers warm before the clock starts. The last line is one JSON object with
the median seconds of each and their ratio.
"""

import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from hpsearch.core.trial import Job
from hpsearch.executors import Processes, find_devices
from hpsearch.runs import worker
from hpsearch.runs.load import Overrides, load_study

TRIALS, ROUNDS = 40, 3
STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(dropout=Float(0.0, 0.5), learning_rate=Float(1e-4, 1e-2, log=True)),
    build=mlp.model(hidden=(64,)),
    searcher=Random(trials=40, epochs=8),
    evaluator=KFold(2),
)
"""


def seconds(file: Path, jobs: list[Job], workers: int) -> float:
    prepare = partial(worker.prepare_from_file, file, Overrides(), "jax", "fit")
    # Two places of one core each; one worker takes the first of them.
    pool = Processes(prepare, find_devices("cpu:2")[:workers])
    try:
        pool.open()
        # As many long jobs as there are workers, so that each one has started and compiled.
        warm = [pool.submit(job) for job in jobs[: 4 * workers]]
        for future in warm:
            future.result()
        start = time.perf_counter()
        for future in [pool.submit(job) for job in jobs]:
            assert future.result().score is not None
        return time.perf_counter() - start
    finally:
        pool.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.py")
        file.write_text(STUDY)
        space, rng = load_study(file, Overrides()).space, np.random.default_rng(0)
        jobs = [Job(space.sample(rng), epochs=8) for _ in range(TRIALS)]
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(ROUNDS):
            for workers, found in times.items():
                found.append(seconds(file, jobs, workers))
    one, two = (statistics.median(found) for found in times.values())
    print(f"{TRIALS} digits trials: one worker {one:.1f} s, two workers {two:.1f} s; bar 1.7 times")
    print(json.dumps({"one": round(one, 2), "two": round(two, 2), "ratio": round(one / two, 2)}))


if __name__ == "__main__":
    main()
