"""The chosen points, trained on all rows but the test's; then the sealed test, opened once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from hpsearch import store as stores
from hpsearch.errors import HpsearchError
from hpsearch.replay import record_of, refuse_changes
from hpsearch.seeds import canonical, derive
from hpsearch.selection.choice import Choice, Member, candidates
from hpsearch.selection.ensemble import greedy
from hpsearch.store import Opening, SearchRecord, Store
from hpsearch.study import Study
from hpsearch.task import Array, Data
from hpsearch.training import backend as backends
from hpsearch.training.base import Fit
from hpsearch.trial import Facts

Weights = Mapping[int, Fraction]
"""Of members, by their places; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Refitted:
    """folder: of the models. card: what the model card says, as plain JSON. opening: of the test;
    None where it stayed sealed. anew: whether the test was opened for it, and not long before.
    """

    folder: Path
    card: dict[str, Any]
    opening: Opening | None
    anew: bool


@dataclass(frozen=True, slots=True)
class _Refit:
    """One refit in the making."""

    study: Study
    data: Data
    choice: Choice
    engine: str
    backend: str

    def validated(self, members: Sequence[Member]) -> list[tuple[Array, Array]]:
        """Each member's predictions for the rows it was validated on, and which rows these are.

        It is trained once more as the search trained it first, to its best epoch. Over repeated
        folds predictions are averaged.
        """
        from hpsearch.training import final

        study, data = self.study, self.data
        splits = study.evaluator.splits(study.task, data, seed=derive(study.seed, "splits"))
        fits = [
            fit
            for member in members
            for fit in study.evaluator.plan_fits(
                splits, study.build, member.params, epochs=member.best_epoch, seed=study.seed
            )
        ]
        trained = final.train(study.task, data, fits, engine=self.engine, backend=self.backend)
        found: list[tuple[Array, Array]] = []
        for _ in members:
            total, times = None, np.zeros(data.rows)
            for split in splits:
                predicted = next(trained).predict_validation()
                if total is None:
                    total = np.zeros((data.rows, predicted.shape[1]))
                total[split.validation] += predicted
                times[split.validation] += 1
            assert total is not None
            rows = np.flatnonzero(times)
            found.append((total[rows] / times[rows, None], rows))
        return found

    def weights(self, members: Sequence[Member], seen: Sequence[tuple[Array, Array]]) -> Weights:
        """All on the one member, or those of an ensemble by its validation rows."""
        from hpsearch.training import scoring

        if self.choice.ensemble is None:
            return {0: Fraction(1)}
        task, (_, rows) = self.study.task, seen[0]

        def loss(predicted: Array) -> float:
            value, _ = scoring.score(task, predicted, self.data.y[rows], error=False)
            found = task.objective.loss(value)
            return float("inf") if found is None else found

        return greedy([predicted for predicted, _ in seen], loss)

    def save(self, folder: Path, members: Sequence[Member], weights: Weights) -> None:
        """Train the members on all rows, once a seed, and keep the models in a folder."""
        from hpsearch.training import final, kept

        study, data, seeds = self.study, self.data, range(self.choice.seeds)
        split, fits, shares = final.all_rows(data.rows), [], []
        for place, weight in weights.items():
            member = members[place]
            epochs = member.epochs(data.rows, self.choice.scale)
            for number in seeds:
                seed = derive(study.seed, "refit", canonical(member.params), number)
                fits.append(Fit(study.build, member.params, split, seed, epochs))
                shares.append(float(weight / len(seeds)))
        trained = final.train(study.task, data, fits, engine=self.engine, backend=self.backend)
        kept.save(folder, study.task, data, zip(shares, trained, strict=True))

    def tested(self, folder: Path) -> dict[str, Any]:
        """What the kept models make of the test rows; nothing else reads these.

        Together they are the model; `alone` is what each of them is by itself.
        """
        from hpsearch.training import kept, scoring

        task, x, y = self.study.task, self.data.x_test, self.data.y_test
        assert x is not None
        assert y is not None
        models = kept.load(folder)
        each = list(models.each(x))
        together = models.mean(each)
        value, se = scoring.score(task, together, y)
        alone, errors = zip(*(scoring.score(task, predicted, y) for predicted in each), strict=True)
        np.savetxt(
            folder / "test.csv",
            np.column_stack([y.reshape(len(y), -1), together]),
            delimiter=",",
            header=",".join(
                [f"true_{i}" for i in range(y.reshape(len(y), -1).shape[1])]
                + [f"predicted_{i}" for i in range(together.shape[1])]
            ),
            comments="",
            fmt="%.6g",
        )
        return {
            "value": value,
            "se": se,
            "rows": len(y),
            "alone": list(alone),
            "alone_mean": fmean(alone),
            "alone_se": _error_of_mean(alone, errors),
            **scoring.report(task, together, y),
        }


def refit(
    study: Study,
    file: Path,
    store: Store,
    choice: Choice,
    folder: Path,
    *,
    engine: str = "auto",
    backend: str | None = None,
) -> Refitted:
    """Choose, train on all non-test rows, keep the models, and open the test once.

    A model that was tested before is trained and kept again, but its verdict is the one there is.
    Raises HpsearchError before the test is opened wherever something cannot work.
    """
    from hpsearch.training import scoring

    running = backends.choose(backend)
    data = study.task.load()
    searches = _searches(study, file, store, data, running)
    members = candidates(store, searches, choice, study.task.objective)
    making = _Refit(study, data, choice, engine, running)
    test = None if choice.sealed else data.test_fingerprint
    seen = making.validated(members)
    weights = making.weights(members, seen)
    making.save(folder, members, weights)
    predicted = sum(float(weight) * seen[place][0] for place, weight in weights.items())
    rows = seen[0][1]
    value, se = scoring.score(study.task, np.asarray(predicted), data.y[rows])
    first = members[0]
    if (
        choice.ensemble is None
    ):  # as it was ranked, over repeats too; the rows' error where it has none
        value, se = first.value, se if first.se is None else first.se
    chosen = _chosen(members, weights, data.rows, choice)
    card: dict[str, Any] = {
        "task": study.task.name,
        "study": study.name,
        "metric": study.task.measure,
        "direction": study.task.objective.direction,
        "evaluator": study.evaluator.label,
        "searches": [search.searcher for search in searches],
        "trials": _count(store, searches),
        "data": data.fingerprint,
        "rows": data.rows,
        **chosen,
        "backend": running,
        "versions": searches[-1].versions,
        "validation": {
            "value": value,
            "se": se,
            **scoring.report(study.task, np.asarray(predicted), data.y[rows]),
        },
        "test": None,
    }
    if test is None:
        return Refitted(folder, card, None, anew=False)
    opening = stores.open_test(store, searches[-1].id, test, _identity(chosen, running))
    if anew := opening.report is None:
        tested = making.tested(folder)
        stores.judge(store, opening, tested["value"], tested["se"], tested)
        opening = next(o for o in stores.openings(store) if o.id == opening.id)
    card["test"] = {**(opening.report or {}), "opening": opening.nth, "fingerprint": test}
    card["optimism"] = value - card["test"]["value"]
    return Refitted(folder, card, opening, anew)


def _searches(
    study: Study, file: Path, store: Store, data: Data, backend: str
) -> list[SearchRecord]:
    """The study's searches whose trials compare; StudyError where the study is not what it was."""
    record = record_of(study, file, Facts(data.fingerprint, "", backend, {}))
    of_study = store.searches(study.name)
    refuse_changes(record, of_study)
    same = [s for s in of_study if (s.evaluator, s.seed) == (record.evaluator, record.seed)]
    if not same:
        known = ", ".join(sorted({f"{s.evaluator} with seed {s.seed}" for s in of_study}))
        raise HpsearchError(
            f"study {study.name} has no search by {record.evaluator} with seed {record.seed}; "
            + (f"it has {known}: name it by --evaluator and --seed" if known else "run it first")
        )
    return same


def _chosen(
    members: Sequence[Member], weights: Weights, rows: int, choice: Choice
) -> dict[str, Any]:
    """What the final model is, as plain JSON."""
    return {
        "choice": "ensemble"
        if choice.ensemble
        else "one standard error"
        if choice.one_se
        else "named"
        if choice.trial
        else "best",
        "members": [
            {
                "trial": member.trial,
                "params": dict(member.params),
                "weight": float(weight),
                "parameters": member.parameters,
                "value": member.value,
                "se": member.se,
                "best_epoch": member.best_epoch,
                "best_epoch_rows": member.rows,
                "epochs": member.epochs(rows, choice.scale),
            }
            for member, weight in ((members[place], weights[place]) for place in weights)
        ],
        "scale": choice.scale,
        "seeds": choice.seeds,
    }


def _identity(chosen: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """What a tested model is known again by."""
    names = ("trial", "params", "epochs", "weight")
    members = [{name: member[name] for name in names} for member in chosen["members"]]
    return {"members": members, "seeds": chosen["seeds"], "backend": backend}


def _count(store: Store, searches: Sequence[SearchRecord]) -> int:
    return sum(store.journal(search.id).complete() for search in searches)


def _error_of_mean(alone: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """Of the mean over seeds: that over rows, which all share, and that of the seeds."""
    if any(error is None for error in errors):
        return None
    over_rows = fmean(error for error in errors if error is not None)
    over_seeds = stdev(alone) / len(alone) ** 0.5 if len(alone) > 1 else 0.0
    return float(np.hypot(over_rows, over_seeds))
