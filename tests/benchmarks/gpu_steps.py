"""How long does a step take side by side? `python -m tests.benchmarks.gpu_steps BATCH,MODELS...`.

A 512-256-128 network on made-up rows of MNIST's shape, for each pair as "5,64" 64 models by batches
of 5 rows. Three searches in one process: one epoch, which compiles; one again, and three: what these
take longer is the steps' time. For tuning on a GPU ($XLA_FLAGS in turns); works on cores, too.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from hpsearch import Choice, Holdout, Random, Study
from hpsearch.runs import session
from hpsearch.runs.display import NoDisplay
from hpsearch.runs.load import Overrides, load_study
from hpsearch.runs.options import RunOptions
from spaces import mlp
from tests.benchmarks.throughput import made_up, regularized

ROWS, VALIDATION = 60_000, 5_000


def make_study(batch: int, models: int, epochs: int) -> Study:
    return Study(
        task=made_up("mnist", ROWS, 784, 10)(),
        space=regularized(batch_size=Choice(batch)),
        build=mlp.model(hidden=(512, 256, 128)),
        searcher=Random(trials=models, epochs=epochs),
        evaluator=Holdout(rows=VALIDATION, shuffle=False),
        start=(),
        name=f"steps_{epochs}",
    )


def measure(batch: int, models: int, epochs: int) -> float:
    """Seconds of a whole search."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.py")
        made = f"make_study({batch}, {models}, {epochs})"
        file.write_text(f"from tests.benchmarks.gpu_steps import *\nstudy = {made}\n")
        loaded = load_study(file, Overrides())
        store = Path(folder, "store.db")
        how = RunOptions(file, store, Overrides(), "jax", engine="gang", inline=True)
        start = time.perf_counter()
        ended = session.run_study(loaded, how, NoDisplay())
        assert len(ended.ranking) == models, ended.failures
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="BATCH,MODELS")
    import keras  # noqa: F401  the clock does not count what imports take

    print(f"XLA_FLAGS={os.environ.get('XLA_FLAGS', '')}", flush=True)
    for pair in parser.parse_args().pairs:
        batch, models = map(int, pair.split(","))
        first, one, three = (measure(batch, models, epochs) for epochs in (1, 1, 3))
        steps = 2 * -(-(ROWS - VALIDATION) // batch)
        step = (three - one) / steps
        print(
            f"batch {batch}, {models} models: {1e6 * step:.0f} us a step, {step * steps / 2:.2f} s an "
            f"epoch, {1e6 * step / models:.1f} us a step of one; {first - one:.1f} s to compile, "
            f"{one - step * steps / 2:.1f} s besides",
            flush=True,
        )


if __name__ == "__main__":
    main()
