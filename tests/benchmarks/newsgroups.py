"""20 newsgroups: `HPSEARCH_DATA=... python -m tests.benchmarks.newsgroups [TRIALS EPOCHS [STUDY ...]]`.

Raw texts without headers, vectorized inside the split. The studies of newsgroups are searched by some
trials each (by default 8 of 6 epochs): their own first points, then random ones. The best point is trained again on all searched rows, and the test opened once.
Beside them, a linear model over TF-IDF of scikit-learn's, whose strength is chosen on the same
split. Prints validation and test accuracy with their standard errors over rows.
"""

import dataclasses
import importlib
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hpsearch import Random
from hpsearch.core.arrays import view_rows
from hpsearch.core.seeds import derive_seed
from hpsearch.training import backend

STUDIES = ("newsgroups_words", "newsgroups_cnn", "newsgroups_vectors")


def error_of(accuracy: float, rows: int) -> float:
    """The standard error of an accuracy over so many rows."""
    return math.sqrt(accuracy * (1 - accuracy) / rows)


def show(name: str, validation: float, rows: int, test: float, tested: int, more: str) -> None:
    print(
        f"{name}: validation {validation:.4f} ± {error_of(validation, rows):.4f}, test {test:.4f} ± "
        f"{error_of(test, tested):.4f}; {more}",
        flush=True,
    )


def score_linear_model(study) -> None:
    """TF-IDF and a logistic regression; its strength is the best on the study's split."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    data = study.task.load()
    seed = derive_seed(study.seed, "splits")  # as a run splits
    (split,) = study.evaluator.splits(study.task, data, seed=seed)

    def make(strength):
        words = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=2)
        return make_pipeline(words, LogisticRegression(C=strength, max_iter=300))

    x, y = (view_rows(data.x, part).read() for part in (split.train, split.validation)), data.y
    x_train, x_validation = x
    scores = {
        strength: make(strength)
        .fit(x_train, y[split.train])
        .score(x_validation, y[split.validation])
        for strength in (3.0, 30.0)
    }
    best = max(scores, key=scores.get)
    test = make(best).fit(data.x.read(), y).score(data.x_test.read(), data.y_test)
    show("linear model", scores[best], len(split.validation), test, len(data.y_test), f"C={best:g}")


def search(name: str, study, trials: int, epochs: int, folder: Path) -> None:
    """Search a study, train the best point again, and open the test."""
    store, began = folder / "store.db", time.perf_counter()
    study = dataclasses.replace(study, name=name, searcher=Random(trials=trials, epochs=epochs))
    best = study.run(store=store).best
    minutes = (time.perf_counter() - began) / 60
    refitted = study.refit(store=store)
    data = study.task.load()
    correct = refitted.predict(data.x_test).argmax(axis=1) == np.asarray(data.y_test)
    show(
        best.study,
        best.value,
        round(0.2 * data.rows),
        float(correct.mean()),
        len(correct),
        f"{trials} trials of {epochs} epochs in {minutes:.1f} minutes; {dict(best.params)}",
    )


def main() -> None:
    trials, epochs = map(int, sys.argv[1:3]) if len(sys.argv) > 1 else (8, 6)
    backend.choose()
    names = sys.argv[3:] or STUDIES
    studies = {name: importlib.import_module(f"studies.{name}").study for name in names}
    score_linear_model(studies[names[0]])
    with tempfile.TemporaryDirectory() as folder:
        for name, study in studies.items():
            search(name, study, trials, epochs, Path(folder))


if __name__ == "__main__":
    main()
