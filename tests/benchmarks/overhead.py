"""What a trial costs beside its training: `python -m tests.benchmarks.overhead [--store URL]`.

Trials that train nothing: inline, through warm workers, and with large curves; then the ranking over
all of these, in this process, and the memory this process holds. The last line is one JSON object:
milliseconds a trial (`inline`, `workers`, `write`), milliseconds (`rank`), and the ratio of the
memory at the last trial to that at a tenth of them (`memory`). The store is a file, or a database
that keeps three tasks of this script's.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
import uuid
from functools import partial
from pathlib import Path

from hpsearch import Float, Random, Space
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Facts, Job, Outcome, Score, Suggestion
from hpsearch.executors import Executor, Inline, Processes, find_devices, work_one_by_one
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.display import NoDisplay
from hpsearch.runs.driver import Driver
from hpsearch.runs.loop import Loop
from hpsearch.runs.replay import replay
from hpsearch.store import Store, Url, parse_place, rank_tasks
from tests.builders import make_record

METRIC = Metric("loss", "min")
SPACE = Space(dropout=Float(0.0, 0.5), learning_rate=Float(1e-4, 1e-1, log=True))
TRIALS, EPOCHS, FOLDS = 10_000, 50, 4


def outcome(job: Job, *, epochs: int, folds: int) -> Outcome:
    value = float(job.params["dropout"])
    curve = tuple(value + 1 / (epoch + 1.7) for epoch in range(epochs))
    fold = Curve(curve, curve, curve, curve, rows=10, n_weights=7)
    return Outcome(Score(curve[-1], 0.01, epochs, (fold,) * folds), seconds=0.0, n_weights=7)


def prepare(epochs: int = 1, folds: int = 1):  # type: ignore[no-untyped-def]
    facts = Facts(data="0" * 16, source="0" * 64, backend="none", versions={})
    return facts, work_one_by_one(partial(outcome, epochs=epochs, folds=folds))


class Clock(NoDisplay):
    """Notes when each trial of a run ended, and what memory was held then, in pages."""

    def __init__(self) -> None:
        self.ended_at: list[float] = []
        self.pages: dict[int, int] = {}

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        self.ended_at.append(time.perf_counter())
        if len(self.ended_at) in (TRIALS // 10, TRIALS):
            held = Path("/proc/self/statm").read_text().split()[1] if sys.platform == "linux" else 0
            self.pages[len(self.ended_at)] = int(held)

    def median_ms(self, skip: int = 50) -> float:
        """Milliseconds a trial, the median over blocks of a tenth, without the first ones."""
        times = self.ended_at[skip:]
        block = max(1, len(times) // 10)
        ends = times[::block]
        return statistics.median(1000 * (b - a) / block for a, b in itertools.pairwise(ends))


def search(where: Path | Url, task: str, executor: Executor, trials: int) -> Clock:
    clock = Clock()
    with Store(where, create=True) as store:
        journal = store.begin_search(make_record(task=task))
        running = Random(trials=trials, epochs=1).start(SPACE, seed=0)
        progress = replay(running, journal.events(), METRIC)
        try:
            executor.open()
            checkpoints = SearchCheckpoints(Path(tempfile.gettempdir()) / task)
            Loop(running, journal, progress, Driver(executor, clock), METRIC, checkpoints).run()
        finally:
            executor.close()
    return clock


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", help="postgresql://...; else a file")
    url = parser.parse_args().store
    found, mark = {}, uuid.uuid4().hex[:8]
    with tempfile.TemporaryDirectory() as name:
        where = parse_place(url or Path(name) / "store.db")
        found["inline"] = search(where, f"inline-{mark}", Inline(prepare), 2000).median_ms()
        pool = Processes(prepare, find_devices("cpu:2"))
        found["workers"] = search(where, f"workers-{mark}", pool, 2000).median_ms()
        large = partial(prepare, EPOCHS, FOLDS)
        clock = search(where, f"large-{mark}", Inline(large), TRIALS)
        found["write"] = clock.median_ms()
        early, late = sorted(clock.pages)
        found["memory"] = clock.pages[late] / max(1, clock.pages[early])
        with Store(where) as store:
            times = []
            for _ in range(11):
                start = time.perf_counter()
                assert len(rank_tasks(store, f"large-{mark}")[0]) == TRIALS
                times.append(1000 * (time.perf_counter() - start))
        found["rank"] = statistics.median(times)
    print(f"2,000 trials inline: {found['inline']:.2f} ms a trial; bar 2")
    print(f"2,000 trials through 2 warm workers: {found['workers']:.2f} ms a trial; bar 6")
    print(f"{TRIALS:,} trials x {EPOCHS} epochs x {FOLDS} folds: {found['write']:.2f} ms; bar 5")
    print(f"ranking of {TRIALS:,} trials, in process: {found['rank']:.1f} ms; bar 50")
    print(f"memory at trial {TRIALS:,} to that at {TRIALS // 10:,}: {found['memory']:.2f}")
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
