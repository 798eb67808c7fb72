"""The chosen points, trained on all rows but the test's; then the sealed test, opened once."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from hpsearch import store as stores
from hpsearch.core.data import Array, Data
from hpsearch.core.errors import HpsearchError, StudyError, UntrustedError
from hpsearch.core.files import read_regular, write_whole
from hpsearch.core.outputs import choose_place, is_kept_model
from hpsearch.core.seeds import canonical, derive
from hpsearch.core.task import Task
from hpsearch.core.trial import Facts
from hpsearch.run.replay import record_of, refuse_changes
from hpsearch.run.study import Study
from hpsearch.selection import predictions, units
from hpsearch.selection.card import markdown
from hpsearch.selection.choice import Choice, Member, candidates
from hpsearch.selection.ensemble import greedy
from hpsearch.selection.predictions import Validated
from hpsearch.store import SearchRecord, Store
from hpsearch.training import backend as backends
from hpsearch.training.base import Fit

_CARD = "card.json"
_LARGEST_CARD = 10_000_000  # bytes

Weights = Mapping[int, Fraction]
"""Of members, by their places; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Refitted:
    """folder: of the models. card: what the model card says, as plain JSON. anew: whether the test
    was opened for it now, and not before, or never.
    """

    folder: Path
    card: dict[str, Any]
    anew: bool


def refit(
    study: Study,
    file: Path,
    store: Store,
    choice: Choice,
    models: Path,
    folder: Path | None = None,
    *,
    pooled: bool = True,
    force: bool = False,
    engine: str = "auto",
    backend: str | None = None,
) -> Refitted:
    """Choose, train on all non-test rows, keep the models in the folder, and open the test once.

    folder: None: one in `models`, named by the study and the trials; in one that is given, another
    model is replaced by `force` only. pooled: choose of all searches by the study's evaluator and seed, not of its
    searcher's alone. A model that was tested before keeps the verdict there is. Raises HpsearchError
    before the test is opened wherever something cannot work.
    """
    from hpsearch.models import kept, retrain, scoring
    from hpsearch.training.rows import prepare

    if folder is not None and not is_kept_model(folder):
        choose_place(folder, kept.MODELS)  # before hours are spent
    running = backends.choose(backend)
    how: dict[str, Any] = {"engine": engine, "backend": running}
    data = study.task.load()
    task = study.task.with_kind_of(data.y)
    test = None if choice.sealed else predictions.check_test(task, data)
    record, searches = _searches(study, file, store, data, running, pooled)
    splits = study.evaluator.splits(task, data, seed=derive(study.seed, "splits"))
    rows = round(fmean(len(split.train) for split in splits))
    members = candidates(store, searches, choice, task.objective, rows)
    seen = predictions.validated(study, data, splits, members, **how)
    weights = _weights(task, data, seen) if choice.ensemble else {0: Fraction(1)}
    model = _model(members, weights, data.rows, choice, running, record.source)
    named, folder = folder is not None, folder or models / f"{study.name}-{_name(model)}"
    if _is_there(folder, model, data):
        # Trust what the study's own preprocessing is, not what the folder says it is.
        fitted = prepare(task, data, retrain.all_rows(data.rows)).transformer
        trust = kept.types_to_trust(fitted)
    else:
        # Without a card, it was broken off; a name of our own tells models apart.
        if named and (folder / _CARD).exists() and not force:
            raise HpsearchError(
                f"{folder} holds another model; name a new folder by --output, or add --force"
            )
        place = choose_place(folder, kept.MODELS)
        fits, shares = _fits(study, data, members, weights, choice)
        trained = retrain.train(task, data, fits, **how)
        trust = kept.save(place, task, data, zip(shares, trained, strict=True))
    try:
        loaded = kept.load(folder, trust)  # what cannot be loaded must not open the test
    except UntrustedError as error:
        raise HpsearchError(
            f"{folder} holds other preprocessing than the study's; it was changed since it was "
            "written: delete the folder, and the same command trains anew"
        ) from error
    card = {
        "task": task.name,
        "study": study.name,
        "metric": task.measure,
        "direction": task.objective.direction,
        "evaluator": study.evaluator.label,
        "searches": [search.searcher for search in searches],
        "trials": sum(store.journal(search.id).count_complete() for search in searches),
        "data": data.fingerprint,
        "rows": data.rows,
        **model,
        "edited": any(search.source != record.source for search in searches),
        "trust": list(trust),
        "versions": json.loads(searches[-1].versions),
        "validation": _validation(task, data, members, weights, seen),
        "test": None,
    }
    anew = False
    if test is not None:
        assert data.x_test is not None
        prepared = loaded.prepare(data.x_test)
        opening = stores.open_test(store, searches[-1].id, test, _identity(card))
        if anew := opening.report is None:
            tested = predictions.tested(task, data, loaded, prepared, folder)
            opening = stores.record_test_result(
                store, opening, tested["value"], tested["se"], tested
            )
        card["test"] = {**(opening.report or {}), "opening": opening.nth, "fingerprint": test}
        card["optimism"] = card["validation"]["value"] - card["test"]["value"]
    card = units.own(card, data.coding, scoring.power(task.metric))
    write_whole(folder / _CARD, json.dumps(card, indent=1))
    write_whole(folder / "card.md", markdown(card))
    return Refitted(folder, card, anew)


def _searches(
    study: Study, file: Path, store: Store, data: Data, backend: str, pooled: bool
) -> tuple[SearchRecord, list[SearchRecord]]:
    """The study as it is now, and its searches whose trials compare; not pooled: of its searcher.

    Raises StudyError where the study is not what it was, or has no such search.
    """
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
    if pooled:
        return record, same
    if named := [s for s in same if s.searcher == record.searcher]:
        return record, named
    known = ", ".join(sorted({s.searcher for s in same}))
    raise StudyError(
        f"study {study.name} has no search by {record.searcher}; it has {known}: name one as it was "
        "run, or leave --searcher and --epochs out, to choose of all"
    )


def _weights(task: Task, data: Data, seen: Sequence[Validated]) -> Weights:
    """Those of an ensemble, by the validation rows."""
    from hpsearch.models import scoring

    def loss(predicted: Array) -> float:
        value, _ = scoring.score(task, predicted, data.y[seen[0].rows], error=False)
        found = task.objective.loss(value)
        return math.inf if found is None else found

    return greedy([each.predicted for each in seen], loss)


def _validation(
    task: Task,
    data: Data,
    members: Sequence[Member],
    weights: Weights,
    seen: Sequence[Validated],
) -> dict[str, Any]:
    """How good the model is on validation rows: one point as it was ranked, by its repeats too, with
    the error over rows where the ranking knows none; an ensemble on the rows it was chosen on.
    """
    from hpsearch.models import scoring

    together = np.asarray(sum(float(w) * seen[place].predicted for place, w in weights.items()))
    y = data.y[seen[0].rows]
    value, se = scoring.score(task, together, y)
    if len(members) == 1:
        (member,) = members
        over_rows = None if se is None else math.hypot(se, member.of_seeds)
        value, se = member.value, over_rows if member.se is None else member.se
    return {"value": value, "se": se, **predictions.report(task, data, together, y)}


def _fits(
    study: Study, data: Data, members: Sequence[Member], weights: Weights, choice: Choice
) -> tuple[list[Fit], list[float]]:
    """Each member once a seed on all rows, and the weight of each fit's model."""
    from hpsearch.models import retrain

    split = retrain.all_rows(data.rows)
    fits, shares = [], []
    for place, weight in weights.items():
        member = members[place]
        epochs = member.epochs(data.rows, choice.scale)
        for number in range(choice.seeds):
            seed = derive(study.seed, "refit", canonical(member.params), number)
            fits.append(Fit(study.build, member.params, split, seed, epochs))
            shares.append(float(weight / choice.seeds))
    return fits, shares


def _model(
    members: Sequence[Member],
    weights: Weights,
    rows: int,
    choice: Choice,
    backend: str,
    source: str,
) -> dict[str, Any]:
    """What the final model is, as plain JSON. source: the study file's text."""
    return {
        "choice": choice.label,
        "members": [
            {
                "trial": member.trial,
                "params": dict(member.params),
                "weight": float(weight),
                "parameters": member.n_weights,
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
        "backend": backend,
        "source": hashlib.sha256(source.encode()).hexdigest()[:16],
    }


def _identity(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a model that was tested is known again by."""
    names = ("trial", "params", "epochs", "weight")
    members = [{name: member[name] for name in names} for member in card["members"]]
    return {"members": members, **{name: card[name] for name in ("seeds", "backend", "source")}}


def _name(model: Mapping[str, Any]) -> str:
    """A folder's name that no other model of the store has."""
    trials = "-".join(str(member["trial"]) for member in model["members"][:3])
    digest = hashlib.sha256(canonical(_identity(model)).encode()).hexdigest()
    return f"{'ensemble' if len(model['members']) > 1 else 'trial'}-{trials}-{digest[:4]}"


def _is_there(folder: Path, model: Mapping[str, Any], data: Data) -> bool:
    """Whether the folder holds this very model, trained on this data."""
    try:
        there = json.loads(read_regular(folder / _CARD, _LARGEST_CARD))
        return (there["data"], _identity(there)) == (data.fingerprint, _identity(model))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
