"""Train the chosen points on all rows but the test's; then open the sealed test once."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch import store as stores
from hpsearch.core.arrays import is_lazy, take_rows
from hpsearch.core.data import Data
from hpsearch.core.errors import (
    HpsearchError,
    OldStoreError,
    StudyError,
    UntrustedError,
    first_line,
)
from hpsearch.core.files import read_regular_file, write_whole
from hpsearch.core.frames.rows import decode_inputs
from hpsearch.core.outputs import choose_place, is_kept_model
from hpsearch.core.seeds import canonical_json, derive_seed
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import Facts
from hpsearch.runs.disk import models_folder
from hpsearch.runs.identity import make_search_record, refuse_changes, rename_as_in_store
from hpsearch.runs.study import StudyDefinition
from hpsearch.selection import predictions, units
from hpsearch.selection.card import render_card
from hpsearch.selection.card_facts import (
    count_all,
    count_epochs,
    describe_model,
    describe_source,
    describe_weights,
    identify_model,
    name_folder,
)
from hpsearch.selection.choice import ModelChoice, ModelMember, choose_members
from hpsearch.selection.predictions import EnsembleWeights, ValidationPrediction
from hpsearch.selection.streamed_rows import number_held_out, read_held_out
from hpsearch.store import SearchRecord, Store, Url
from hpsearch.training import backend as backends
from hpsearch.training.base import Fit, Split, WithoutValidation

if TYPE_CHECKING:
    from hpsearch.models.kept import KeptModels, PreparedRows
    from hpsearch.models.own_models import OwnTraining

_CARD = "card.json"
_MOST_CARD_BYTES = 10_000_000  # bytes
_ROWS_FOR_TYPES = 512


@dataclass(frozen=True, slots=True)
class RefitResult:
    """A refitted model.

    Args:
        folder: of its files.
        card: the model card, as plain JSON.
        opened_now: whether the test was opened for it now, not earlier or never.
        models: the models, as they were loaded from the folder.
    """

    folder: Path
    card: dict[str, Any]
    opened_now: bool
    models: "KeptModels"


@contextmanager
def open_to_refit(place: Path | Url) -> Iterator[tuple[Store, Path]]:
    """A store that a refit writes to, and the folder of its kept models.

    Raises NoStoreError where there is no store yet.
    """
    with suppress(OldStoreError), Store(place):  # raises where there is none
        pass
    with Store(place, create=True) as store:
        yield store, models_folder(store)


def refit(
    study: StudyDefinition,
    file: Path | None,
    store: Store,
    choice: ModelChoice,
    models: Path,
    folder: Path | None = None,
    *,
    pooled: bool = True,
    force: bool = False,
    engine: str = "auto",
    backend: str | None = None,
) -> RefitResult:
    """Choose points, train them on all rows but the test's, keep the models, open the test once.

    A model that was tested before keeps its test result.

    Args:
        models: the folder of folders; where `folder` is None, the study and trials name one in it.
        folder: where the models are kept; another model there is replaced only with `force`.
        pooled: choose among all searches with the study's evaluator and seed, not only among those
            of its searcher.

    Raises HpsearchError, before the test is opened, where something cannot work.
    """
    from hpsearch.models import kept, retrain, scoring

    if folder is not None and not is_kept_model(folder):
        choose_place(folder, kept.MODELS)  # refuses before hours of training
    study = rename_as_in_store(study, file, store)
    # Phase 1: choose the members and their weights.
    running = backends.choose(backend)
    how: dict[str, Any] = {"engine": engine, "backend": running}
    data = study.task.load()
    task = study.task.with_kind_of(data.y)
    held_out = read_held_out(data, test=not choice.sealed)
    test = None if choice.sealed else predictions.check_test(task, held_out)
    record, searches = _comparable_searches(study, file, store, data, running, pooled)
    splits = study.evaluator.splits(task, data, seed=derive_seed(study.seed, "splits"))
    rows = round(fmean(len(split.train) for split in splits))
    members = choose_members(store, searches, choice, task.objective, rows)
    splits = number_held_out(data, held_out, splits)
    validated = predictions.predict_validation_rows(
        study, data, held_out.rows, splits, members, **how
    )
    weights: EnsembleWeights = {0: Fraction(1)}
    if choice.ensemble:
        weights = predictions.choose_ensemble(task, held_out, validated)
    model = describe_model(task, members, weights, data, choice, running, record.source)
    # Phase 2: train and keep the models, unless the folder holds them already.
    left_out: dict[str, str] = {}  # callbacks, and what they watch
    is_named, folder = folder is not None, folder or models / f"{study.name}-{name_folder(model)}"
    if _is_kept_in(folder, model, data):
        trust = _types_of_preprocessing(task, data, [member.params for member in members])
        left_out = _read_card(folder).get("callbacks_left_out", left_out)
    else:
        # Without a card, the folder is of an interrupted run. A folder that we named is of this
        # model: names differ between models.
        if is_named and (folder / _CARD).exists() and not force:
            raise HpsearchError(
                f"{folder} holds another model; name a new folder by --output, or add --force"
            )
        place = choose_place(folder, kept.MODELS)
        callbacks = None if study.callbacks is None else WithoutValidation(study.callbacks)
        fits, shares = _plan_fits(study, data, members, weights, choice, callbacks)
        trained = retrain.train(task, data, fits, **how, trains_itself=study.train is not None)
        trust = kept.save(place, task, data, zip(shares, trained, strict=True))
        left_out = {} if callbacks is None else callbacks.left_out
    try:
        loaded = kept.load(
            folder, trust, own_training(study)
        )  # before the test is opened, which counts
    except UntrustedError as error:
        raise HpsearchError(
            f"{folder} holds other preprocessing than the study's: it was changed after it was "
            "written; delete the folder, and run the same command again"
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
        "rows": count_all(data),
        **({"validation_rows": data.validation_rows} if data.validation_rows else {}),
        **describe_source(data),
        **describe_weights(task, data),
        **({"callbacks_left_out": left_out} if left_out else {}),
        **model,
        "edited": any(search.source != record.source for search in searches),
        "trust": list(trust),
        "versions": json.loads(searches[-1].versions),
        "validation": _score_validation(task, held_out, members, weights, validated),
        "test": None,
    }
    # Phase 3: open the test, unless it was opened for this very model before.
    opened_now = False
    if test is not None:
        prepared = _prepare_test(data, loaded)
        opening = stores.open_test(store, searches[-1].id, test, identify_model(card))
        if opened_now := opening.report is None:
            tested = predictions.score_test(task, held_out, loaded, prepared, folder)
            opening = stores.record_test_result(
                store, opening, tested["value"], tested["se"], tested
            )
        card["test"] = {**(opening.report or {}), "opening": opening.nth, "fingerprint": test}
        card["optimism"] = card["validation"]["value"] - card["test"]["value"]
    card = units.convert_to_own_unit(card, data.coding, scoring.unit_power(task.objective.own_name))
    write_whole(folder / _CARD, json.dumps(card, indent=1))
    write_whole(folder / "card.md", render_card(card))
    return RefitResult(folder, card, opened_now, loaded)


def load_kept(folder: Path, study: StudyDefinition) -> "KeptModels":
    """The models in a folder, which may have the study's own preprocessing or training function."""
    from hpsearch.models import kept

    data = study.task.load()
    task = study.task.with_kind_of(data.y)
    points: list[Params] = [{}]
    if task.preprocessing_parameters:
        try:
            points = [dict(member["params"]) for member in _read_card(folder)["members"]]
            for point in points:
                study.space.check(point)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HpsearchError(
                f"the card in {folder} does not say at which points of the study its models are "
                f"({first_line(error)}); refit the study again"
            ) from error
    trust = _types_of_preprocessing(task, data, points)
    return kept.load(folder, trust, own_training(study))


def _types_of_preprocessing(task: Task, data: Data, points: Sequence[Params]) -> tuple[str, ...]:
    """The types in the study's own preprocessing, fitted: to trust these, not what a folder names.

    Some rows of a source tell them as well as all.

    Args:
        task: of the study.
        data: its data.
        points: those of the models, which choose their preprocessing where it is searched.
    """
    from hpsearch.models.kept_transformers import types_to_trust
    from hpsearch.training.fold_preprocessing import choose_split
    from hpsearch.training.rows import prepare_rows

    if not task.prepares_each_split:
        return ()
    rows = np.arange(data.rows)
    if is_lazy(data.x):
        rows = rows[:: math.ceil(data.rows / _ROWS_FOR_TYPES)]
    whole = Split(rows, rows[:1])
    splits = dict.fromkeys(choose_split(task, whole, point) for point in points)
    fitted = [prepare_rows(task, data, split) for split in splits]
    return tuple(sorted({name for each in fitted for name in types_to_trust(each)}))


def own_training(study: StudyDefinition) -> "OwnTraining | None":
    """How kept models of the study's own training function are loaded; None where it has none."""
    from hpsearch.models.own_models import OwnTraining

    return None if study.train is None else OwnTraining(study.task, study.space, study.train)


def _comparable_searches(
    study: StudyDefinition, file: Path | None, store: Store, data: Data, backend: str, pooled: bool
) -> tuple[SearchRecord, list[SearchRecord]]:
    """The study as it is now, and its searches whose trials compare.

    Args:
        pooled: whether to take the searches of all searchers, or only of the study's.

    Raises StudyError where the study has changed since its searches, or has no such search.
    """
    record = make_search_record(study, file, Facts(data.fingerprint, "", backend, {}))
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
        f"study {study.name} has no search by {record.searcher}; it has {known}: name one as it "
        "was run, or leave --searcher and --epochs out, to choose among all"
    )


def _score_validation(
    task: Task,
    data: Data,
    members: Sequence[ModelMember],
    weights: EnsembleWeights,
    validated: Sequence[ValidationPrediction],
) -> dict[str, Any]:
    """How good the model is on validation rows.

    A single member has its value in the ranking, repeats included; where the ranking has no
    standard error, that over rows is taken. An ensemble is scored on the rows it was chosen on.
    """
    from hpsearch.models import scoring

    together = predictions.combine(validated, weights)
    rows, row_weights = validated[0].rows, task.metric_weights(data)
    y = take_rows(data.y, rows)
    value, se = scoring.score(task, together, y, None if row_weights is None else row_weights[rows])
    if len(members) == 1:
        (member,) = members
        over_rows = None if se is None else math.hypot(se, member.se_of_seeds)
        value, se = member.value, over_rows if member.se is None else member.se
    given = None if data.sample_weight is None else data.sample_weight[rows]
    return {"value": value, "se": se, **predictions.report_scores(task, data, together, y, given)}


def _prepare_test(data: Data, models: "KeptModels") -> "PreparedRows":
    """The inputs of the test as `KeptModels.predict_each` gets them.

    Those of a stream are read when predicted.
    """
    from hpsearch.models.kept import PreparedRows
    from hpsearch.training.streams import HeldOutRows

    if data.given_streams is not None:
        return PreparedRows([HeldOutRows(data.given_streams, "test")])
    assert data.x_test is not None
    as_given = {name: data.frames_test[name] for name in models.frames}
    return models.prepare_inputs(decode_inputs(data.x_test, as_given))


def _plan_fits(
    study: StudyDefinition,
    data: Data,
    members: Sequence[ModelMember],
    weights: EnsembleWeights,
    choice: ModelChoice,
    callbacks: WithoutValidation | None,
) -> tuple[list[Fit], list[float]]:
    """A fit of each member for each seed on all rows, and the weight of each fit's model."""
    from hpsearch.models import retrain

    split = retrain.all_rows(data)
    fits, shares = [], []
    for position, weight in weights.items():
        member = members[position]
        epochs = count_epochs(member, count_all(data), choice.scale)
        for number in range(choice.seeds):
            seed = derive_seed(study.seed, "refit", canonical_json(member.params), number)
            fits.append(
                Fit(
                    study.trial_function,
                    member.params,
                    split,
                    seed,
                    epochs,
                    most_epochs=study.most_epochs,
                    callbacks=callbacks,
                    is_refit=True,
                )
            )
            shares.append(float(weight / choice.seeds))
    return fits, shares


def _read_card(folder: Path) -> Any:
    """The card in a folder. Raises OSError or ValueError where there is none."""
    return json.loads(read_regular_file(folder / _CARD, _MOST_CARD_BYTES))


def _is_kept_in(folder: Path, model: Mapping[str, Any], data: Data) -> bool:
    """Whether the folder holds this model, trained on this data."""
    try:
        there = _read_card(folder)
        return (there["data"], identify_model(there)) == (data.fingerprint, identify_model(model))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
