"""Learning curves of random points of eight studies: `python -m tests.benchmarks.curves [STUDY...]`.

Points are trained side by side to the last epoch, and kept in tables/STUDY.npz for
`replay_curves.py`. It goes on where it was killed: what is written is not trained again, and points
come in the same order, so that a shorter table is the beginning of a longer one. Needs the real
data ($HPSEARCH_DATA) and JAX. Run it with `nice`, and stop it whenever you like.
"""

import argparse
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.seeds import derive_seed
from hpsearch.core.trial import Curve
from hpsearch.searchers.base import generate_points
from hpsearch.training import backend, engines
from hpsearch.training.base import Split, Trainer
from tests.benchmarks.curve_studies import STUDIES, CurveStudy
from tests.benchmarks.curve_tables import Table, read_table, write_table

SEED = 21


class TableMaker:
    """Trains the points of one study, as a search would, and adds them to its table."""

    def __init__(self, name: str, study: CurveStudy) -> None:
        self.name, self.study, self.task = name, study, study.task()
        self.data: Data = self.task.load()
        self.splits: list[Split] = study.evaluator.splits(
            self.task, self.data, seed=derive_seed(SEED, "splits")
        )
        self.trainer: Trainer = engines.make_trainer(self.task, "gang", "jax")

    def train(self, points: Sequence[Any]) -> list[list[Curve]]:
        """The curve of each fold of each point."""
        planned = [
            self.study.evaluator.plan_fits(
                self.splits, self.study.build, point, epochs=self.study.epochs, seed=SEED
            )
            for point in points
        ]
        fits = list(itertools.chain.from_iterable(planned))
        curves = dict(self.trainer.train(fits, self.data))
        folds = len(self.splits)
        return [[curves[p * folds + f] for f in range(folds)] for p in range(len(points))]

    def make_table(self, points: Sequence[Any], about: dict[str, Any]) -> Table:
        wall, processor = time.perf_counter(), time.process_time()
        found = self.train(points)
        # Other work on the machine makes seconds longer, but not those of a processor.
        busy = (time.process_time() - processor) / (time.perf_counter() - wall)
        values = np.full((len(points), len(self.splits), self.study.epochs), np.nan, np.float32)
        for point, curves in enumerate(found):
            for fold, curve in enumerate(curves):
                values[point, fold, : len(curve.validation)] = curve.validation
        return Table(
            [dict(point) for point in points],
            values,
            np.array(
                [busy * sum(curve.seconds for curve in curves) for curves in found], np.float32
            ),
            np.array([max(curve.n_weights for curve in curves) for curves in found]),
            about,
        )

    def measure(self, point: Any) -> dict[str, Any]:
        """What the table says of the study; two trainings of one point tell what compiling takes."""
        ends = [time.process_time()]
        for _ in range(2):
            self.train([point])
            ends.append(time.process_time())
        first, second = np.diff(ends)
        return {
            "space": self.study.space.to_json(),
            "direction": self.task.objective.direction,
            "structure": list(self.study.structure),
            "seconds_to_compile": round(max(0.0, first - second), 3),
            "seconds_alone": round(second, 3),
        }


def count_points(name: str) -> int:
    table = read_table(name)
    return 0 if table is None else len(table.points)


def extend_table(name: str, points: int, batch: int | None = None) -> None:
    """Add a batch of points to a table, up to so many in all.

    Args:
        batch: points of a batch; None: as many as suit the study.
    """
    study, table, done = STUDIES[name], read_table(name), count_points(name)
    maker = TableMaker(name, study)
    wanted = list(_draw(study, done, min(batch or study.batch, points - done)))
    start = time.perf_counter()
    about = maker.measure(wanted[0]) if table is None else table.about
    more = maker.make_table(wanted, about)
    table = more if table is None else table.joined(more)
    write_table(name, table)
    seconds = (time.perf_counter() - start) / len(wanted)
    print(f"{name}: {len(table.points)} points, {seconds:.2f} s each", flush=True)


def _draw(study: CurveStudy, done: int, count: int) -> Iterator[Any]:
    drawn = generate_points(study.space, seed=derive_seed(SEED, "points"))
    return itertools.islice(drawn, done, done + count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; default: all")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--batch", type=int, help="points trained, and written, together")
    given = parser.parse_args()
    if unknown := [name for name in given.studies if name not in STUDIES]:
        parser.error(f"no study {unknown[0]}; there are {', '.join(STUDIES)}")
    if os.environ.get("HPSEARCH_DATA") in (None, "", "stand-in"):
        parser.error("stand-ins are small; set HPSEARCH_DATA to a folder of the real data")
    os.environ["KERAS_BACKEND"] = "jax"
    backend.choose()
    # The shortest table next, so that wherever it is stopped none is much shorter than others.
    names = list(given.studies or STUDIES)
    while min(map(count_points, names)) < given.points:
        extend_table(min(names, key=count_points), given.points, given.batch)


if __name__ == "__main__":
    main()
