"""What a trial costs beside its training on Ray, by us and by Ray Tune, side by side in one run:
`python -m tests.benchmarks.ray_overhead` (needs `pip install 'ray[tune]'`).

One node on this machine with two cores; 100 trials that train nothing. Ours go through the loop, the
journal and the checkpoints' tidying, by warm workers. Tune runs them as it does by default, a process
each, and with `reuse_actors`. The last line is one JSON object: milliseconds a trial (`ours`, `long`
over 2,000 of them, `tune`, `reused`), ours to each of Tune's (`ratio`, `ratio_reused`), and seconds
until the first worker is ready (`open`).
"""

import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import ray

from hpsearch import Random
from hpsearch.executors import RayCluster
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.driver import Driver
from hpsearch.runs.loop import Loop
from hpsearch.runs.replay import replay
from hpsearch.store import Store
from tests.benchmarks.overhead import METRIC, SPACE, prepare
from tests.builders import make_record

TRIALS, LONG = 100, 2000


def ours(executor: RayCluster, path: Path, trials: int) -> float:
    """Seconds for all of them."""
    with Store(path, create=True) as store:
        journal = store.begin_search(make_record())
        search = Random(trials=trials, epochs=1).start(SPACE, seed=0)
        progress = replay(search, journal.events(), METRIC)
        checkpoints = SearchCheckpoints(path.parent / "checkpoints")
        start = time.perf_counter()
        Loop(search, journal, progress, Driver(executor), METRIC, checkpoints).run()
        return time.perf_counter() - start


def tunes(folder: Path, *, reuse: bool) -> float:
    from ray import tune

    def train(point):  # type: ignore[no-untyped-def]
        tune.report({"loss": point["dropout"]})

    space = {"dropout": tune.uniform(0.0, 0.5), "learning_rate": tune.loguniform(1e-4, 1e-1)}
    tuner = tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=TRIALS, metric="loss", mode="min", reuse_actors=reuse
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    start = time.perf_counter()
    found = tuner.fit()
    took = time.perf_counter() - start
    assert len(found) == TRIALS
    assert not found.errors
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 2**20,
        )
        executor = RayCluster(prepare, gpus_per_worker=0, recycle=None)
        start = time.perf_counter()
        executor.open()
        opening = time.perf_counter() - start
        while executor.workers < 2:
            time.sleep(0.1)
        mine = [ours(executor, folder / f"{turn}.db", TRIALS) for turn in range(5)]
        many = ours(executor, folder / "long.db", LONG)
        executor.close()  # Tune gets the cores
        tune, reused = (tunes(folder / "tune", reuse=reuse) for reuse in (False, True))
        ray.shutdown()
    found = {
        "ours": 1000 * statistics.median(mine) / TRIALS,
        "long": 1000 * many / LONG,
        "tune": 1000 * tune / TRIALS,
        "reused": 1000 * reused / TRIALS,
        "ratio": statistics.median(mine) / tune,
        "ratio_reused": statistics.median(mine) / reused,
        "open": opening,
    }
    print(f"Ray {ray.__version__}, Python {sys.version.split()[0]}, two cores")
    print(f"{TRIALS} trials by us: {[round(x, 3) for x in mine]} s: {found['ours']:.2f} ms; bar 10")
    print(f"{LONG} trials by us: {found['long']:.2f} ms a trial")
    print(f"{TRIALS} trials by Ray Tune: {tune:.1f} s; with reuse_actors: {reused:.1f} s")
    print(f"ours to Tune's: {found['ratio']:.4f} and {found['ratio_reused']:.3f}; bar 0.1")
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
