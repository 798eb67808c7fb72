"""How soon do search methods find good points, on tables of real curves?

`python -m tests.benchmarks.replay_curves [SEARCHER...] [--tables NAME,...] [--flight N] [--seeds N]`

A searcher is written as on the command line, with {epochs} for a full training's:
'hyperband:max_epochs={epochs},iterations=99'. A suggestion is answered by the nearest row of the
table that no other trial has taken, or of all rows once each is taken; a trial that continues goes
on in the same row. What is printed is the regret of the best value seen so far: 0 is the best row
at the last epoch, 1 the median one or worse. It is the mean over tables and seeds, after so many
full trainings, and after so many seconds of a model of the machine: trials in flight that need the
same program train side by side, in the time that they took in the table, but not sooner than one of
them alone; a program is compiled once. Nothing is trained, and no data is needed.

Below, each table is left out once: the searcher that is best on all others, and its regret on it.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch import searchers
from hpsearch.core.metric import Direction, Metric
from hpsearch.core.option_text import option_classes, parse_options
from hpsearch.core.parameters import Choice
from hpsearch.core.space import Params
from hpsearch.core.trial import Observation, Suggestion
from hpsearch.searchers import Searcher
from hpsearch.searchers.names import ABSENT, ALIASES
from tests.benchmarks.curve_tables import FOLDER, Table, read_table

TRAININGS = (2, 10, 20, 50, 100)
SECONDS = (15, 30, 60, 120, 300)
USUAL = [
    "auto:trials=100,max_epochs={epochs}",
    "asha:trials=100000,max_epochs={epochs}",
    "hyperband:max_epochs={epochs},iterations=99",
    "tpe:trials=200,epochs={epochs}",
    *(["gp:trials=200,epochs={epochs}"] if importlib.util.find_spec("torch") else []),
    "random:trials=200,epochs={epochs}",
]


class Rows:
    """The rows of a table, as a search meets them: points, and losses by epochs."""

    def __init__(self, table: Table) -> None:
        self.space, self.table = table.space, table
        direction: Direction = table.about["direction"]
        sign = -1.0 if Metric("value", direction).direction == "max" else 1.0
        with np.errstate(invalid="ignore"):
            self.curves = sign * table.values.mean(axis=1)  # NaN from where one fold diverged on
        self.losses = np.minimum.accumulate(self.curves, axis=1)
        self.epochs = self.losses.shape[1]
        last = self.losses[:, -1]
        self.best, self.median = (
            np.nanmin(last),
            np.nanmedian(np.where(np.isnan(last), np.inf, last)),
        )
        self.structures = [
            tuple(point.get(name) for name in table.about["structure"]) for point in table.points
        ]
        self._units, self._exists = zip(*map(self._encode, table.points), strict=True)
        self._is_choice = np.array([isinstance(self.space[n], Choice) for n in self.space])

    def _encode(self, point: Params) -> tuple[np.ndarray, np.ndarray]:
        return self.space.to_unit(point), np.array([name in point for name in self.space])

    def nearest(self, point: Params, free: np.ndarray) -> int:
        """The nearest of the free rows. Other options are as far apart as the ends of a range."""
        unit, exists = self._encode(point)
        apart = np.abs(np.array(self._units) - unit)
        differs = (np.array(self._exists) != exists) | (self._is_choice & (apart > 0))
        apart[differs] = 1.0
        return int(np.argmin(np.where(free, (apart**2).sum(axis=1), np.inf)))

    def regret(self, loss: float) -> float:
        return float(np.clip((loss - self.best) / (self.median - self.best), 0.0, 1.0))


@dataclass(eq=False)
class Replay:
    """One search on a table.

    Args:
        flight: trials in flight.
        found: of each trial that ended, full trainings and modelled seconds so far, and the
            lowest loss so far.
    """

    rows: Rows
    flight: int
    row_of: dict[int, int] = field(default_factory=dict)
    asked: dict[int, Suggestion] = field(default_factory=dict)
    running: list[int] = field(default_factory=list)
    compiled: set[tuple[object, ...]] = field(default_factory=set)
    found: list[tuple[float, float, float]] = field(default_factory=list)
    spent: float = 0.0
    seconds: float = 0.0
    lowest: float = np.inf

    def run(self, searcher: Searcher, seed: int) -> None:
        """Search to the largest number of full trainings, or until nothing is left to find."""
        search = searcher.start(self.rows.space, seed=seed)
        free = np.ones(len(self.rows.structures), bool)
        while self.spent < TRAININGS[-1] and self.lowest > self.rows.best:
            while len(self.running) < self.flight:
                answer = search.ask(len(self.asked))
                if not isinstance(answer, Suggestion):
                    break
                trial = len(self.asked)
                if answer.parent is None:
                    # A short table runs out. Then only trials that continue can find better.
                    if not free.any():
                        free[:] = True
                    row = self.rows.nearest(answer.params, free)
                    free[row] = False
                else:
                    row = self.row_of[answer.parent]
                self.row_of[trial], self.asked[trial] = row, answer
                self.running.append(trial)
            if not self.running:
                return
            for trial in self._train_group():
                search.tell(trial, self._observe(trial))

    def _begun(self, trial: int) -> int:
        parent = self.asked[trial].parent
        return 0 if parent is None else self.asked[parent].epochs

    def _train_group(self) -> list[int]:
        """End the oldest trial and those that train side by side with it; their time passes."""
        about, structures = self.rows.table.about, self.rows.structures
        structure = structures[self.row_of[self.running[0]]]
        group = [t for t in self.running if structures[self.row_of[t]] == structure]
        shares = [
            (self.asked[trial].epochs - self._begun(trial)) / self.rows.epochs for trial in group
        ]
        side_by_side = sum(
            share * self.rows.table.seconds[self.row_of[trial]]
            for share, trial in zip(shares, group, strict=True)
        )
        self.seconds += max(side_by_side, max(shares) * about["seconds_alone"])
        if structure not in self.compiled:
            self.compiled.add(structure)
            self.seconds += about["seconds_to_compile"]
        self.running = [trial for trial in self.running if trial not in group]
        return group

    def _observe(self, trial: int) -> Observation:
        row, begun, epochs = self.row_of[trial], self._begun(trial), self.asked[trial].epochs
        self.spent += (epochs - begun) / self.rows.epochs
        loss = float(self.rows.losses[row, epochs - 1])
        failed = bool(np.isnan(loss))
        if not failed:
            self.lowest = min(self.lowest, loss)
        self.found.append((self.spent, self.seconds, self.lowest))
        return Observation(
            None if failed else loss,
            () if failed else tuple(map(float, self.rows.curves[row, begun:epochs])),
            seconds=float(self.rows.table.seconds[row]) * (epochs - begun) / self.rows.epochs,
            n_weights=int(self.rows.table.weights[row]),
        )

    def regrets(self) -> list[float]:
        """After each of TRAININGS, then after each of SECONDS; 1 before the first trial ends."""
        out = []
        for place, budgets in ((0, TRAININGS), (1, SECONDS)):
            for budget in budgets:
                lowest = [each[2] for each in self.found if each[place] <= budget + 1e-9]
                out.append(self.rows.regret(lowest[-1]) if lowest else 1.0)
        return out


def judge(text: str, rows: Rows, flight: int, seeds: Sequence[int]) -> list[float]:
    """The mean regret of a searcher on a table, after each budget."""
    searcher: Searcher = parse_options(
        text.format(epochs=rows.epochs),
        "searcher",
        option_classes(searchers),
        aliases=ALIASES,
        absent=ABSENT,
    )
    found = []
    for seed in seeds:
        replay = Replay(rows, flight)
        replay.run(searcher, seed)
        found.append(replay.regrets())
    return [statistics.fmean(column) for column in zip(*found, strict=True)]


def print_means(title: str, judged: dict[str, dict[str, list[float]]]) -> None:
    print(f"\n{title}")
    heads = [f"{n}" for n in TRAININGS] + [f"{n} s" for n in SECONDS]
    print(f"{'':28} {' '.join(f'{head:>6}' for head in heads)}")
    for text, tables in judged.items():
        means = [statistics.fmean(column) for column in zip(*tables.values(), strict=True)]
        print(f"{text.partition(':')[0]:28} {' '.join(f'{mean:6.3f}' for mean in means)}")


def print_left_out(judged: dict[str, dict[str, list[float]]], names: Sequence[str]) -> None:
    """For each table, what one would choose by all others, and how good that is on it."""
    print("\neach table left out: the best on the others by the mean after full trainings, on it")
    count = len(TRAININGS)
    for name in names:
        others = {
            text: statistics.fmean(
                value for other in names if other != name for value in tables[other][:count]
            )
            for text, tables in judged.items()
        }
        chosen = min(others, key=lambda text: others[text])
        cells = " ".join(f"{value:6.3f}" for value in judged[chosen][name][:count])
        print(f"{name:14} {chosen.partition(':')[0]:13} {cells}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("searchers", nargs="*", default=USUAL)
    parser.add_argument("--tables", help="names, with commas between; default: all that there are")
    parser.add_argument("--flight", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args()
    there = sorted(path.stem for path in FOLDER.glob("*.npz"))
    names = given.tables.split(",") if given.tables else there
    tables = {name: read_table(name) for name in names}
    if missing := [name for name, table in tables.items() if table is None]:
        parser.error(f"no table {missing[0]}; there are {', '.join(there) or 'none'}")
    rows = {name: Rows(table) for name, table in tables.items() if table is not None}
    for name, each in rows.items():
        print(f"{name}: {len(each.structures)} rows of {each.epochs} epochs")
    judged: dict[str, dict[str, list[float]]] = {}
    for text in given.searchers:
        start, seeds = time.process_time(), range(given.first_seed, given.first_seed + given.seeds)
        judged[text] = {name: judge(text, rows[name], given.flight, seeds) for name in names}
        each = (time.process_time() - start) / len(names) / len(seeds)
        print(f"{text}: {each:.2f} s of a processor a search", flush=True)
    for name in names:
        print_means(name, {text: {name: tables[name]} for text, tables in judged.items()})
    print_means(f"mean of {len(names)} tables, {given.flight} in flight", judged)
    if len(names) > 1:
        print_left_out(judged, names)


if __name__ == "__main__":
    main()
