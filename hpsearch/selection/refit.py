"""Train the chosen points on all rows but the test's; then open the sealed test once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch import store as stores
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, OldStoreError
from hpsearch.core.files import write_whole
from hpsearch.core.frames.rows import decode_inputs
from hpsearch.core.outputs import choose_place, is_kept_model
from hpsearch.core.seeds import canonical_json, derive_seed
from hpsearch.runs.disk import models_folder
from hpsearch.runs.identity import rename_as_in_store
from hpsearch.runs.study import StudyDefinition
from hpsearch.selection import predictions, units
from hpsearch.selection.card import render_card
from hpsearch.selection.card_facts import count_all, count_epochs, identify_model, name_folder
from hpsearch.selection.card_making import make_card
from hpsearch.selection.choice import ModelChoice
from hpsearch.selection.chosen_model import ChosenModel, choose_model
from hpsearch.selection.kept_folder import (
    CARD,
    is_kept_in,
    load_refitted,
    read_card,
    types_of_preprocessing,
)
from hpsearch.store import Store, Url
from hpsearch.training import backend as backends
from hpsearch.training.base import Fit, WithoutValidation

if TYPE_CHECKING:
    from hpsearch.models.kept import KeptModels, PreparedRows


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
    from hpsearch.models import kept, scoring

    if folder is not None and not is_kept_model(folder):
        choose_place(folder, kept.MODELS)  # refuses before hours of training
    study = rename_as_in_store(study, file, store)
    how: dict[str, Any] = {"engine": engine, "backend": backends.choose(backend)}
    chosen = choose_model(study, file, store, choice, pooled=pooled, **how)
    study, choice = chosen.study, chosen.choice
    task, data = chosen.task, chosen.data
    is_named = folder is not None
    folder = folder or models / f"{study.name}-{name_folder(chosen.description)}"
    if is_kept_in(folder, chosen.description, data):
        trust = types_of_preprocessing(task, data, [member.params for member in chosen.members])
        left_out = read_card(folder).get("callbacks_left_out", {})
    else:
        # Without a card, the folder is of an interrupted run. A folder that we named is of this
        # model: names differ between models.
        if is_named and (folder / CARD).exists() and not force:
            raise HpsearchError(
                f"{folder} holds another model; name a new folder by --output, or add --force"
            )
        choose_place(folder, kept.MODELS)  # a folder of models may hold other files too
        trust, left_out = _train_and_keep(study, chosen, choice, folder, **how)
    loaded = load_refitted(folder, trust, study)  # before the test is opened, which counts
    card = make_card(chosen, study, store, trust, left_out)
    opened_now = _open_test(chosen, store, loaded, card, folder)
    card = units.convert_to_own_unit(card, data.coding, scoring.unit_power(task.objective.own_name))
    write_whole(folder / CARD, json.dumps(card, indent=1))
    write_whole(folder / "card.md", render_card(card))
    return RefitResult(folder, card, opened_now, loaded)


def _train_and_keep(
    study: StudyDefinition,
    chosen: ChosenModel,
    choice: ModelChoice,
    folder: Path,
    *,
    engine: str,
    backend: str,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Train a model on all rows, and keep it in the folder.

    Returns the types in its preprocessing; and the callbacks that were left out, with what they
    watch.
    """
    from hpsearch.models import kept, retrain
    from hpsearch.models.kept_estimators import take_estimator

    task, data = chosen.task, chosen.data
    place = choose_place(folder, kept.MODELS)
    callbacks = None if study.callbacks is None else WithoutValidation(study.callbacks)
    fits, shares = _plan_fits(study, chosen, choice, callbacks)
    trained = retrain.train(
        task, data, fits, engine=engine, backend=backend, trains_itself=study.train is not None
    )
    if choice.baseline is not None:  # such a model needs no study to predict
        trained = (replace(each, model=take_estimator(each.model)) for each in trained)
    trust = kept.save(place, task, data, zip(shares, trained, strict=True))
    return trust, {} if callbacks is None else callbacks.left_out


def _open_test(
    chosen: ChosenModel, store: Store, models: "KeptModels", card: dict[str, Any], folder: Path
) -> bool:
    """Score a model on the test, unless that was done before, and note the result in its card.

    Returns whether the test was opened now. A sealed one stays closed; what an earlier opening
    said of the model stays in its card.
    """
    if chosen.test is None:
        same = [o for o in stores.list_openings(store) if o.model == identify_model(card)]
        told = [opening for opening in same if opening.report is not None]
        if told:
            _note_test(card, told[-1])
        return False
    prepared = _prepare_test(chosen.data, models)
    opening = stores.open_test(store, chosen.searches[-1].id, chosen.test, identify_model(card))
    if is_new := opening.report is None:
        tested = predictions.score_test(chosen.task, chosen.held_out, models, prepared, folder)
        opening = stores.record_test_result(store, opening, tested["value"], tested["se"], tested)
    _note_test(card, opening)
    return is_new


def _note_test(card: dict[str, Any], opening: "stores.Opening") -> None:
    card["test"] = {**(opening.report or {}), "opening": opening.nth, "fingerprint": opening.test}
    card["optimism"] = card["validation"]["value"] - card["test"]["value"]


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
    chosen: ChosenModel,
    choice: ModelChoice,
    callbacks: WithoutValidation | None,
) -> tuple[list[Fit], list[float]]:
    """A fit of each member for each seed on all rows, and the weight of each fit's model."""
    from hpsearch.models import retrain

    split = retrain.all_rows(chosen.data)
    fits, shares = [], []
    for position, weight in chosen.weights.items():
        member = chosen.members[position]
        epochs = count_epochs(member, count_all(chosen.data), choice.scale)
        for number in range(choice.seeds):
            seed = derive_seed(study.seed, "refit", canonical_json(member.params), number)
            fits.append(
                Fit(
                    study.trial_function,
                    member.params,
                    split,
                    seed,
                    epochs,
                    most_epochs=member.most_epochs,
                    callbacks=callbacks,
                    is_refit=True,
                )
            )
            shares.append(float(weight / choice.seeds))
    return fits, shares
