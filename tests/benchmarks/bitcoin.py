"""Does an LSTM tell the next hour of bitcoin? `python -m tests.benchmarks.bitcoin`.

Searches `studies/bitcoin_lstm.py` and compares its best trial with forecasts that learn nothing, on
the same five folds, each of which follows what was trained on: the mean root mean squared error and
its standard error, in dollars, and scaled as in Bernico, Deep Learning Quick Reference (2018),
chapter 9: changes of the price of each fold's training hours to -1..1. Then the difference from "as
the hour before", paired over the folds. Prints a Markdown table.

Needs the real data ($HPSEARCH_DATA). What is done is not done again: a search that was cut off goes
on. The best trial was chosen on these folds, so its figure is, if anything, too good.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from hpsearch import Data, Forward
from hpsearch.core.difference import compare_values
from hpsearch.core.parameters import point_text
from hpsearch.results.formatting import format_with_error
from hpsearch.tasks import bitcoin
from hpsearch.training.base import Split
from tests.benchmarks.product_commands import ROOT, command

EVALUATOR = Forward(5)
DAY = 24
# From windows of prices, shape (rows, hours), the latest last: the price of the next hour.
NAIVE = {
    "as the hour before": lambda prices: prices[:, -1],
    "the change of the hour before": lambda prices: 2 * prices[:, -1] - prices[:, -2],
    "the change of the same hour of the day before": lambda prices: (
        prices[:, -1] + prices[:, -DAY] - prices[:, -DAY - 1]
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".hpsearch" / "bitcoin")
    parser.add_argument("--searcher", help="instead of the study's own")
    options = parser.parse_args()
    if os.environ.get("HPSEARCH_DATA") == "stand-in":
        parser.error("the stand-in is made up; set HPSEARCH_DATA to a folder of the real data")
    best, trials, seconds = search(options.folder.resolve(), options.searcher)
    task = bitcoin.task()
    data = task.load()
    splits = EVALUATOR.splits(task, data, seed=best["seed"])
    at = best["best_epoch"] - 1
    errors = {"LSTM": np.array([curve["validation"][at] for curve in best["curves"]])}
    errors |= {
        name: np.array([rmse(data, split, forecast) for split in splits])
        for name, forecast in NAIVE.items()
    }
    print(
        f"\nThe best of {trials} trials by {best['searcher']}, {seconds / 60:.0f} minutes: "
        f"{point_text(best['params'])}, {at + 1} of {best['epochs']} epochs. Folds of "
        f"{', '.join(str(len(split.train)) for split in splits)} hours to train on and "
        f"{len(splits[0].validation)} to validate on.\n"
    )
    print_table(errors, data, splits)


def search(folder: Path, searcher: str | None) -> tuple[dict, int, float]:
    """The best trial, as `show --json` gives it, the number of trials, and how long they took."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time()
    other = ("--searcher", searcher) if searcher else ()
    # One after the other: on two cores small recurrent networks are no faster side by side.
    command(folder, "run", "studies/bitcoin_lstm.py", "--engine", "fit", *other)
    ranked = json.loads(command(folder, "rank", "--json"))
    best = json.loads(command(folder, "show", str(ranked[0]["trial"]), "--json"))
    return best, len(ranked), time.time() - began


def rmse(data: Data, split: Split, forecast) -> float:
    """The error of a forecast of a fold's validation hours, in dollars."""
    predicted = forecast(np.asarray(data.x[split.validation])[:, :, 0])
    return float(np.sqrt(np.mean((predicted - data.y[split.validation]) ** 2)))


def scale(data: Data, split: Split) -> float:
    """What a dollar of change is, where the changes of a fold's training hours are from -1 to 1."""
    changes = data.y[split.train] - np.asarray(data.x[split.train])[:, -1, 0]
    return float(2 / (changes.max() - changes.min()))


def print_table(errors: dict[str, np.ndarray], data: Data, splits: list[Split]) -> None:
    """A row for each forecast: errors by fold, their means in both units, and the difference."""
    scales = np.array([scale(data, split) for split in splits])
    # As rankings compare trials: the folds share training rows.
    share = float(np.mean([len(split.validation) / len(split.train) for split in splits]))
    folds = " | ".join(f"fold {n}" for n in range(1, len(scales) + 1))
    print(f"| RMSE | {folds} | dollars | scaled | minus the first naive one, dollars |")
    print("|---" * (len(scales) + 4) + "|")
    base = errors[next(iter(NAIVE))]
    for name, found in errors.items():
        by_fold = " | ".join(f"{value:.2f}" for value in found)
        dollars, scaled = mean_with_error(found), mean_with_error(found * scales)
        against = ""
        if found is not base:
            pairs = [[difference] for difference in found - base]
            difference = compare_values(dollars, mean_with_error(base), pairs, share)
            against = f"{format_with_error(difference.value, difference.se)}, {difference.verdict}"
        cells = name, by_fold, format_with_error(*dollars), format_with_error(*scaled), against
        print(f"| {' | '.join(cells)} |")


def mean_with_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


if __name__ == "__main__":
    main()
