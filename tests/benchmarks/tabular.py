"""Networks for tables against plain ones: `HPSEARCH_DATA=... python -m tests.benchmarks.tabular`.

Searches of `spaces.tabular` and of `spaces.mlp` by the default searcher, with equally many trials of
equally many epochs, on the same folds of each table; and scikit-learn's HistGradientBoosting, as it
comes, on these folds. The best trial of each search is compared, paired over folds: both are chosen
on the folds that they are judged by. Errors are mean absolute errors in standard deviations of the
target, or shares of rows in the wrong class. What is done lies in a store under .hpsearch/, and the
same command goes on from there. `--trials 1`: the builders' default points alone, without a search.
`--trials 3 --epochs 10 --tables boston,diabetes`: less of it.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # boosting waits for its threads where cores are busy

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from hpsearch import Choice, Data, Float, KFold, Space, Study, Task
from hpsearch.core import ties
from hpsearch.core.seeds import derive_seed
from hpsearch.searchers import Auto, Random
from hpsearch.tasks import boston, wine
from hpsearch.training import backend
from spaces import mlp, optimizers, tabular

STORE = Path(".hpsearch", "tabular.db")
MOST_ROWS = 600
Table = tuple[Any, np.ndarray, bool]  # x, y, whether y are classes


def make_people() -> Table:
    """Numbers and categories, of which one has 30 values; what counts is who is where."""
    rng = np.random.default_rng(8)
    rows = MOST_ROWS
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(float),
            "income": rng.lognormal(size=rows),
            "job": rng.choice(["clerk", "cook", "nurse", "smith"], rows),
            "town": [f"town {n:02}" for n in rng.integers(0, 30, rows)],
        }
    )
    rents = dict(zip(sorted(set(frame["town"])), rng.normal(size=30), strict=True))
    y = frame["town"].map(rents).to_numpy() + np.log(frame["income"].to_numpy())
    y += np.where(frame["job"] == "nurse", np.abs(frame["age"] - 50) / 10, 0.0)
    frame.loc[rng.random(rows) < 0.1, "income"] = np.nan
    return frame, y + 0.3 * rng.normal(size=rows), False


def of_task(load: Callable[[], Data]) -> Table:
    data = load()
    return data.x, np.asarray(data.y), False


def of_sklearn(load: Callable[..., Any], classes: bool, **options: Any) -> Table:
    x, y = load(return_X_y=True, **options)
    return x, y, classes


def make_hastie() -> Table:
    x, y = datasets.make_hastie_10_2(MOST_ROWS, random_state=0)
    return x, (y > 0).astype(np.int64), True


TABLES: dict[str, Callable[[], Table]] = {
    "boston": lambda: of_task(boston.load),
    "wine": lambda: of_task(wine.load),
    "diabetes": lambda: of_sklearn(datasets.load_diabetes, False),
    "friedman1": lambda: (*datasets.make_friedman1(MOST_ROWS, noise=1.0, random_state=0), False),
    "people": make_people,
    "breast cancer": lambda: of_sklearn(datasets.load_breast_cancer, True),
    "cultivars": lambda: of_sklearn(datasets.load_wine, True),
    "hastie": make_hastie,
}


def read_table(name: str) -> Table:
    """At most MOST_ROWS rows, drawn once; numbers to predict in standard deviations."""
    x, y, classes = TABLES[name]()
    chosen = np.random.default_rng(0).permutation(len(y))[:MOST_ROWS]
    x = x.iloc[chosen].reset_index(drop=True) if isinstance(x, pd.DataFrame) else x[chosen]
    y = y[chosen]
    return x, (y.astype(np.int64) if classes else (y - y.mean()) / y.std()), classes


def make_study(name: str, net: str, trials: int, epochs: int, folds: int) -> Study:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x, y, classes = read_table(name)
    columns = tabular.Columns.of(x)
    if net == "tabular":
        preprocess: Any = tabular.preprocess(columns)
        build, space = tabular.model(columns), Space(tabular.SPACE)
    else:
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        one_hot = OneHotEncoder(
            categories=[list(values) for values in columns.categories.values()],
            handle_unknown="ignore",
            sparse_output=False,
        )
        preprocess = ColumnTransformer(
            [("numbers", numbers, list(columns.numbers))]
            + ([("one", one_hot, list(columns.categories))] if columns.categories else [])
        )
        build = mlp.model()
        space = Space(
            mlp.funnel(3, 64, 256),
            dropout=Float(0.0, 0.5),
            optimizer=Choice("adam", "rmsprop"),
            learning_rate=optimizers.LEARNING_RATE,
        )
    loss = "mse"
    if classes:
        two = y.max() == 1
        loss = "binary_crossentropy" if two else "sparse_categorical_crossentropy"
    task = Task(name, Data(x, y), loss, "accuracy" if classes else "mae", preprocess=preprocess)
    # One training is the builder's default point.
    searcher = Auto(trials, epochs) if trials > 1 else Random(1, epochs)
    return Study(
        task=task,
        space=space,
        build=build,
        searcher=searcher,
        evaluator=KFold(folds),
        name=f"{name.replace(' ', '-')}-{net}-{trials}x{epochs}",
    )


def search_best(study: Study) -> list[float]:
    """Each fold's error at the best trial's best epoch; the search goes on where it was stopped."""
    best = study.run(inline=True, store=STORE, display=None).best.score
    values = best.at_best
    return [1 - value for value in values] if study.task.metric == "accuracy" else values


def boost(study: Study) -> list[float]:
    """Each fold's error of HistGradientBoosting on the folds of a search."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x, y, classes = read_table(study.task.name)
    frame = pd.DataFrame(x)
    frame = frame.astype({c: "category" for c in frame if frame[c].dtype.kind not in "fiu"})
    errors = []
    for split in study.evaluator.splits(
        study.task, study.task.load(), seed=derive_seed(study.seed, "splits")
    ):
        fitted: Any = (
            HistGradientBoostingClassifier(random_state=0)
            if classes
            else HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
        )
        fitted.fit(frame.iloc[split.train], y[split.train])
        wrong = fitted.predict(frame.iloc[split.validation]) - y[split.validation]
        errors.append(float(np.mean(wrong != 0 if classes else np.abs(wrong))))
    return errors


def difference(first: list[float], second: list[float], folds: int) -> str:
    """The mean difference and its error, paired over folds (Nadeau and Bengio, 2003)."""
    paired = [a - b for a, b in zip(first, second, strict=True)]
    error = ties.standard_error(paired, 1 / (folds - 1))
    return f"{statistics.fmean(paired):+.4f} ± {error:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12, help="full trainings that a search takes")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--tables", default=",".join(TABLES))
    given = parser.parse_args()
    STORE.parent.mkdir(exist_ok=True)
    print(
        f"{backend.choose()}; {given.trials} trainings of {given.epochs} epochs a net, "
        f"{given.folds} folds, at most {MOST_ROWS} rows a table; errors, and differences ± standard "
        "error"
    )
    print(f"{'table':14}{'tabular':>9}{'mlp':>9}{'boosting':>10}   tabular - mlp     - boosting")
    for name in given.tables.split(","):
        start = time.perf_counter()
        studies = {
            net: make_study(name, net, given.trials, given.epochs, given.folds)
            for net in ("tabular", "mlp")
        }
        found = {net: search_best(study) for net, study in studies.items()}
        found["boosting"] = boost(studies["mlp"])
        means = [statistics.fmean(errors) for errors in found.values()]
        print(
            f"{name:14}{means[0]:9.4f}{means[1]:9.4f}{means[2]:10.4f}   "
            f"{difference(found['tabular'], found['mlp'], given.folds)}  "
            f"{difference(found['tabular'], found['boosting'], given.folds)}"
            f"   ({time.perf_counter() - start:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
