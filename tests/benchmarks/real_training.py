"""Does `Auto` find more where networks are trained? `python -m tests.benchmarks.real_training`.

Searches of two studies by four methods at equal epochs, each with as many trials in flight as it asks
for, several seeds of each; prints the median over seeds of the best loss at each quarter of the budget.
What is done lies in a store under .hpsearch/, and the same command goes on from there. `--seeds 3`: fewer of them;
`--print`: what there is, without training.
"""

import argparse
import statistics
from pathlib import Path

from hpsearch.core.plan import Budget
from hpsearch.core.trial import Suggestion
from hpsearch.runs.display import NoDisplay
from hpsearch.runs.load import Overrides, load_study
from hpsearch.runs.options import RunOptions
from hpsearch.runs.session import run_study
from hpsearch.searchers import Searcher
from hpsearch.store import AskedEvent, Store
from tests.conftest import ROOT

STORE = Path(".hpsearch", "real_training.db")
QUARTERS = (0.25, 0.5, 0.75, 1.0)
# Study, epochs of a full training, how many of them are the budget.
TASKS = {"digits_dropout": (15, 60), "boston_kfold": (81, 40)}
METHODS = {
    "Random": "random:trials={trials},epochs={epochs}",
    "Hyperband": "hyperband:max_epochs={epochs},eta=3,iterations=99",
    "Bayes (TPE)": "bayes:trials={trials},epochs={epochs}",
    "Auto": "auto:trials={trials},max_epochs={epochs}",
}


def how_to_run(task: str, method: str, seed: int) -> RunOptions:
    epochs, trials = TASKS[task]
    searcher = METHODS[method].format(epochs=epochs, trials=trials)
    return RunOptions(
        ROOT / "studies" / f"{task}.py",
        STORE,
        Overrides(searcher=searcher, seed=seed),
        "jax",
        inline=True,
        budget=Budget(epochs=epochs * trials),
    )


def bests(task: str, method: str, seed: int) -> list[float] | None:
    """The best value at each quarter of the budget; None where the search is not through."""
    how, budget = how_to_run(task, method, seed), TASKS[task][0] * TASKS[task][1]
    study = load_study(how.file, how.overrides)
    searcher: Searcher = study.searcher
    with Store(STORE) as store:
        found = [s for s in store.searches(study.name) if s.seed == seed]
        same = [s for s in found if s.searcher == searcher.label]
        events = list(store.journal(same[-1].id).events()) if same else []
    asked: dict[int, Suggestion] = {}
    best, spent, open_quarters = float("inf"), 0, list(QUARTERS)
    out: list[float] = []
    for event in events:
        if isinstance(event, AskedEvent):
            if isinstance(event.answer, Suggestion):
                asked[event.trial] = event.answer
            continue
        parent = asked[event.trial].parent
        spent += asked[event.trial].epochs - (0 if parent is None else asked[parent].epochs)
        while open_quarters and spent > open_quarters[0] * budget:
            out.append(best)
            open_quarters.pop(0)
        score = event.outcome.score
        loss = study.task.objective.loss(score.value) if score else None
        best = min(best, float("inf") if loss is None else loss)
    # The last gang may end a little before the budget; a search cut off ends far before.
    if spent < 0.9 * budget:
        return None
    return out + [best] * len(open_quarters)


def table(task: str, seeds: int) -> None:
    print(f"\n{task}: the loss that is ranked, median over seeds, after each quarter of the epochs")
    for method in METHODS:
        found = [bests(task, method, seed) for seed in range(seeds)] if STORE.exists() else []
        whole = [values for values in found if values is not None]
        if whole:
            medians = [statistics.median(column) for column in zip(*whole, strict=True)]
            cells = "  ".join(f"{value:8.4f}" for value in medians)
            print(f"{method:12} {cells}   {len(whole)} seeds", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--print", action="store_true")
    given = parser.parse_args()
    STORE.parent.mkdir(exist_ok=True)
    for seed in range(0 if given.print else given.seeds):
        for task in TASKS:
            for method in METHODS:
                if STORE.exists() and bests(task, method, seed) is not None:
                    continue
                how = how_to_run(task, method, seed)
                run_study(load_study(how.file, how.overrides), how, NoDisplay())
                print(task, method, seed, bests(task, method, seed), flush=True)
    for task in TASKS:
        table(task, given.seeds)


if __name__ == "__main__":
    main()
