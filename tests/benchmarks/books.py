"""The source books' tasks, searched anew: `python -m tests.benchmarks.books [STUDY...]`.

Runs each study's search, repeats its best trials, refits the best point and opens the test, all by
the commands that a user has, and writes `studies/README.md` from what the store and the model cards
then say. Needs the real data ($HPSEARCH_DATA). What is done is not done again: a run that was cut
off goes on, and `--only-write` writes the table of what there is. Takes about an hour on two cores.
"""

import argparse
import json
import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.parameters import point_text
from hpsearch.results.formatting import format_with_error
from tests.benchmarks.product_commands import ROOT, command

README = ROOT / "studies" / "README.md"

Measured = tuple[float, float | None]


def validation(card: dict[str, Any]) -> Measured:
    return card["validation"]["value"], card["validation"]["se"]


def test(card: dict[str, Any]) -> Measured:
    """Of a model alone: the books trained one."""
    return card["test"]["alone_mean"], card["test"]["alone_se"]


def best_seen(card: dict[str, Any]) -> Measured:
    """The best value of the search, of one training: what the books tell of theirs."""
    return card["best_seen"], card["validation"]["se"]


@dataclass(frozen=True)
class Figure:
    """book: None where the book has no such figure."""

    name: str
    book: float | None
    better: str
    ours: Callable[[dict[str, Any]], Measured]


@dataclass(frozen=True)
class Book:
    """options: of `run`; refit: of `refit`."""

    study: str
    what: str
    figures: tuple[Figure, ...]
    options: tuple[str, ...] = ("--repeats", "2")
    refit: tuple[str, ...] = ()


def accuracy(book: float | None) -> Figure:
    return Figure("test accuracy", book, "max", test)


MNIST = "MNIST, 55,000 / 5,000 / 10,000"
IMDB = "IMDB, 15,000 / 10,000 / 25,000"
BOOKS = (
    Book("mnist_dropout", MNIST, (accuracy(0.9806),)),
    Book("mnist_l2", MNIST, (accuracy(0.9806),)),
    Book(
        "mnist_hyperband",
        MNIST,
        (
            Figure("validation loss, best training", 0.0574, "min", best_seen),
            Figure("validation loss, over three", None, "min", validation),
        ),
    ),
    Book(
        "mnist_cnn",
        f"{MNIST}, images",
        (accuracy(0.993),),
        ("--backend", "tensorflow"),
        ("--seeds", "1"),
    ),
    Book("imdb_size", IMDB, (accuracy(0.8833),)),
    Book("imdb_l2", IMDB, (accuracy(0.8833),)),
    Book("imdb_dropout", IMDB, (accuracy(0.8833),)),
    Book("imdb_lstm", f"{IMDB}, sequences", (accuracy(0.86),), ()),
    Book("reuters_width", "Reuters, 7,982 / 1,000 / 2,246", (accuracy(0.797),)),
    Book(
        "boston_kfold",
        "Boston, 404 by 4 folds / 102",
        (
            Figure("4-fold MAE, k$", 2.37, "min", validation),
            Figure("test MAE, k$", 2.46, "min", test),
        ),
    ),
    Book(
        "wine_depth",
        "white wine, 80 / 10 / 10 %",
        (
            Figure("validation MAE, scaled", 0.190, "min", validation),
            Figure("test MAE, scaled", 0.190, "min", test),
        ),
    ),
    Book(
        "seizure_accuracy",
        "seizures, 80 / 10 / 10 %",
        (
            Figure("validation accuracy, best training", 0.985, "max", best_seen),
            Figure("validation accuracy, over three", None, "max", validation),
            accuracy(None),
        ),
    ),
    Book(
        "seizure_auc",
        "seizures, 80 / 10 / 10 %",
        (
            Figure("validation ROC AUC", None, "max", validation),
            Figure("test ROC AUC", None, "max", test),
        ),
    ),
    Book(
        "seizure_grouped",
        "seizures, whole recordings apart",
        (
            Figure("5-fold ROC AUC", None, "max", validation),
            Figure("test ROC AUC", None, "max", test),
        ),
    ),
    Book(
        "bitcoin_lstm",
        "bitcoin, 18,056 hours by 5 folds forward / 2,006",
        (
            Figure("5-fold RMSE, $", None, "min", validation),
            Figure("test RMSE, $", None, "min", test),
        ),
        ("--engine", "fit"),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", metavar="STUDY")
    parser.add_argument("--folder", type=Path, default=ROOT / ".hpsearch" / "books")
    parser.add_argument("--only-write", action="store_true")
    options = parser.parse_args()
    if os.environ.get("HPSEARCH_DATA") == "stand-in":
        parser.error("stand-ins are not the books' data; set HPSEARCH_DATA to a folder of the real")
    folder = options.folder.resolve()
    for book in BOOKS:
        if not options.only_write and (not options.studies or book.study in options.studies):
            work(book, folder)
            README.write_text(page(folder))
    README.write_text(page(folder))
    print(README.read_text())


def work(book: Book, folder: Path) -> None:
    """Search and refit, unless that is done; note how long both took."""
    done = folder / f"{book.study}.json"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time()
    command(folder, "run", f"studies/{book.study}.py", *book.options)
    searched = time.time()
    models = folder / "models" / book.study
    backend = book.options if "--backend" in book.options else ()
    arguments = *backend, *book.refit, "--output", str(models), "--json"
    text = command(folder, "refit", f"studies/{book.study}.py", *arguments)
    facts = {
        "card": {**json.loads(text), "best_seen": best_of(folder, book.study)},
        "search_seconds": searched - began,
        "refit_seconds": time.time() - searched,
        "epochs": epochs(folder, book.study),
        "machine": machine(),
    }
    done.write_text(json.dumps(facts, indent=1))


def best_of(folder: Path, study: str) -> float:
    """The best value that any trial of the search had when it was first trained."""
    db = sqlite3.connect(folder / "store.db")
    ((direction, low, high),) = db.execute(
        "SELECT s.direction, min(t.value), max(t.value) FROM told t "
        "JOIN searches s ON s.id = t.search WHERE s.study = ?",
        (study,),
    )
    return float(high if direction == "max" else low)


def epochs(folder: Path, study: str) -> int:
    """All that were trained in the search and its repeats, over folds too."""
    db = sqlite3.connect(folder / "store.db")
    ((searched,),) = db.execute(
        "SELECT sum((t.epochs - coalesce(p.epochs, 0)) * (SELECT count(*) FROM curves c WHERE "
        "c.search = t.search AND c.trial = t.trial AND c.repeat = 0)) "
        "FROM told t JOIN searches s ON s.id = t.search "
        "JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest' "
        "LEFT JOIN told p ON p.search = a.search AND p.trial = a.parent WHERE s.study = ?",
        (study,),
    )
    ((repeated,),) = db.execute(
        "SELECT sum(r.epochs * (SELECT count(*) FROM curves c WHERE c.search = r.search "
        "AND c.trial = r.trial AND c.repeat = r.repeat)) "
        "FROM repeats r JOIN searches s ON s.id = r.search WHERE s.study = ?",
        (study,),
    )
    return int(searched or 0) + int(repeated or 0)


def page(folder: Path) -> str:
    return "\n".join(lines(folder)) + "\n"


def lines(folder: Path) -> Iterator[str]:
    found = {
        book: json.loads((folder / f"{book.study}.json").read_text())
        for book in BOOKS
        if (folder / f"{book.study}.json").exists()
    }
    yield "# Studies"
    yield ""
    yield "Written by `python -m tests.benchmarks.books`, which runs for each study:"
    yield ""
    yield "```sh"
    for book in BOOKS:
        yield f"python -m hpsearch run studies/{book.study}.py {' '.join(book.options)}".rstrip()
    yield "```"
    yield ""
    yield "and then `python -m hpsearch refit` with the same study and backend."
    yield ""
    yield (
        "Validation figures are of the best trial, over all its trainings; test figures are the mean "
        "of three networks (of `mnist_cnn`, one), each by itself, trained on all rows but the test's, "
        "from sealed tests that were opened after the choice was made. The studies of one task share "
        "its test rows: the column says which opening of them it was; nothing was chosen by the "
        "earlier ones. Figures are with their standard errors, and `beyond` or `short` where the book's is more than one away. "
        "`HPSEARCH_DATA=stand-in` runs every study on small data that scikit-learn brings."
    )
    yield ""
    yield "| study | task | figure | book | ours | | opening | trials | epochs | minutes |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for book, facts in found.items():
        card = facts["card"]
        for place, figure in enumerate(book.figures):
            value, se = figure.ours(card)
            sized = [""] * 5
            if place == 0:
                minutes = (facts["search_seconds"] + facts["refit_seconds"]) / 60
                counts = str(card["trials"]), f"{facts['epochs']:,}", f"{minutes:.1f}"
                sized = [f"`{book.study}`", book.what, *counts]
            opening = card["test"]["opening"] if figure.name.startswith("test") else ""
            cells = *sized[:2], figure.name, figure.book or "", format_with_error(value, se)
            yield f"| {' | '.join(map(str, (*cells, verdict(figure, value, se), opening, *sized[2:])))} |"
    yield ""
    yield "| study | picked point | epochs of the refit | test together |"
    yield "|---|---|---|---|"
    for book, facts in found.items():
        card = facts["card"]
        (member,) = card["members"]
        together = (
            f"{card['metric']} {format_with_error(card['test']['value'], card['test']['se'])}"
        )
        point = point_text(member["params"])
        yield f"| `{book.study}` | {point} | {member['epochs']} | {together} |"
    yield ""
    machines = sorted({facts.get("machine", machine()) for facts in found.values()})
    yield (
        "Epochs are those of the search and its repeats, counted once a fold; minutes those of the "
        f"search, its repeats and the refit on {' / '.join(machines)}. `test together`: by the mean of the "
        "networks' outputs, as `predict` gives it."
    )
    if notes := [note for book in found if (note := NOTES.get(book.study))]:
        yield ""
        yield from (f"- {note}" for note in notes)
    yield ""
    yield "## Notebooks"
    yield ""
    yield (
        "`kfold.ipynb` (an evaluator alone), `overnight.ipynb` (a study in a cell, two workers, stopped "
        "and continued, then the morning after), `from_keras_tuner.ipynb` and `from_optuna.ipynb` (the "
        "ways over, each with one search both ways). None needs a shell."
    )


NOTES = {
    "mnist_hyperband": (
        "`mnist_hyperband`: the book's loss is of one training, as the first line is. The picked "
        "point's mean over three trainings is level with it."
    ),
    "mnist_cnn": (
        "`mnist_cnn`: five trials of eight epochs are what two cores train in twenty minutes; 8 rows "
        "in 10,000 are one error."
    ),
    "boston_kfold": (
        "`boston_kfold`: 102 rows tell a mean absolute error to no better than a tenth of it; the "
        "networks together are ahead of the book, one alone is not told from it."
    ),
    "seizure_accuracy": (
        "`seizure_accuracy`: 1,150 rows tell the accuracy to 0.004, and the book's is of one "
        "training on other rows; depth, width and dropout bring no more."
    ),
    "bitcoin_lstm": (
        "`bitcoin_lstm`: the book's series is one of minutes, so that its figures do not compare. The "
        "price of the hour before has an error of $83.06 ± 29.10 on the same folds and of $63.84 on "
        "the test; see `tests/benchmarks/README.md`."
    ),
}


def verdict(figure: Figure, value: float, se: float | None) -> str:
    """Whether it is beyond the book's figure by more than its error."""
    if figure.book is None:
        return ""
    ahead = value - figure.book if figure.better == "max" else figure.book - value
    errors = f" by {abs(ahead) / se:.1f} errors" if se else ""
    if se and abs(ahead) <= se:
        return "level: within one error"
    return ("beyond" if ahead > 0 else "short") + errors


def machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = "with" if shutil.which("nvidia-smi") else "without"
    return f"{cores} cores ({platform.machine()}) {gpu} a GPU"


if __name__ == "__main__":
    main()
