"""Several workers on one GPU: `python -m tests.benchmarks.gpu_workers` on a machine that has one.

Three workers share GPU 0. Many small trials run on all three; one trial asks for more memory than
a third of the GPU and must be repeated alone, with all of it; another asks for more than there is
and must fail as "memory". Nobody else is harmed. JAX; TensorFlow is not needed. The last line is
one JSON object.
"""

import json
import tempfile
import time
from functools import partial
from pathlib import Path

from hpsearch.core.trial import Job
from hpsearch.executors import Processes, find_devices
from hpsearch.runs import worker
from hpsearch.runs.load import Overrides

STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

made = mlp.model(hidden=(64,))


def build(spec, dropout, gibibytes=0):
    if gibibytes:
        import jax.numpy as jnp

        held = jnp.zeros((gibibytes, 2**28), jnp.float32).block_until_ready()
    return made(spec, dropout=dropout)


study = Study(
    task=digits.task(),
    space=Space(dropout=Float(0.0, 0.5)),
    build=build,
    searcher=Random(trials=1, epochs=3),
    evaluator=Holdout(rows=300),
)
"""


def main() -> None:
    devices = [device for device in find_devices("auto") if device.kind == "gpu"][:1]
    if not devices:
        raise SystemExit("no GPU is free here")
    total = devices[0].total // 2**30
    small = [Job({"dropout": i / 100}, epochs=3) for i in range(30)]
    large = Job({"dropout": 0.1, "gibibytes": int(0.5 * total)}, epochs=3)
    glutton = Job({"dropout": 0.1, "gibibytes": 2 * total}, epochs=3)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "study.py")
        file.write_text(STUDY)
        prepare = partial(worker.prepare_from_file, file, Overrides(), "jax", "fit")
        pool = Processes(prepare, devices, 3)
        try:
            start = time.perf_counter()
            pool.open()
            opened = time.perf_counter() - start
            jobs = [*small[:15], large, glutton, *small[15:]]
            futures = [pool.submit(job) for job in jobs]
            outcomes = [future.result() for future in futures]
            seconds = time.perf_counter() - start - opened
        finally:
            pool.close()
    others = [o for job, o in zip(jobs, outcomes, strict=True) if "gibibytes" not in job.params]
    failure = outcomes[16].failure
    found = {
        "device": devices[0].name,
        "others_unharmed": all(o.score is not None for o in others),
        "repeated_alone": outcomes[15].score is not None,
        "failed_as": failure.kind if failure else None,
        "opened_s": round(opened, 1),
        "seconds": round(seconds, 1),
    }
    wanted = found["others_unharmed"] and found["repeated_alone"] and found["failed_as"] == "memory"
    print("as it should be" if wanted else "NOT as it should be")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
