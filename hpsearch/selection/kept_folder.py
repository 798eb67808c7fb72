"""Folders of kept models: which model one holds, and what may be loaded from it."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.array_types import Indices
from hpsearch.core.arrays import is_lazy
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, UntrustedError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.runs.study import StudyDefinition
from hpsearch.selection.card_facts import identify_model
from hpsearch.store import BASELINES
from hpsearch.training.base import Split

if TYPE_CHECKING:
    from hpsearch.models.kept import KeptModels
    from hpsearch.models.own_models import OwnTraining

CARD = "card.json"
_MOST_CARD_BYTES = 10_000_000
_ROWS_FOR_TYPES = 512


def load_kept(folder: Path, study: StudyDefinition) -> "KeptModels":
    """The models in a folder, which may have the study's own preprocessing or training function."""
    from hpsearch.models import kept

    data = study.task.load()
    task = study.task.with_kind_of(data.y)
    points: list[Params] = [{}]
    if task.preprocessing_parameters:
        try:
            points = [dict(member["params"]) for member in read_card(folder)["members"]]
            for point in points:
                study.space.check(point)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HpsearchError(
                f"the card in {folder} does not say at which points of the study its models are "
                f"({first_line(error)}); refit the study again"
            ) from error
    trust = types_of_preprocessing(task, data, points)
    return kept.load(folder, trust, own_training(study))


def load_refitted(folder: Path, trust: Sequence[str], study: StudyDefinition) -> "KeptModels":
    """The models of a folder that a refit of the study has written, or found.

    Args:
        trust: the types in the study's own preprocessing.

    Raises HpsearchError where the folder names others.
    """
    from hpsearch.models import kept

    try:
        return kept.load(folder, trust, own_training(study))
    except UntrustedError as error:
        raise HpsearchError(
            f"{folder} holds other preprocessing than the study's: it was changed after it was "
            "written; delete the folder, and run the same command again"
        ) from error


def types_of_preprocessing(task: Task, data: Data, points: Sequence[Params]) -> tuple[str, ...]:
    """The types in the study's own preprocessing, fitted: to trust these, not what a folder names.

    Some rows of a source tell them as well as all, unless it takes more to fit it.

    Args:
        task: of the study.
        data: its data.
        points: those of the models, which choose their preprocessing where it is searched.
    """
    if not task.prepares_each_split:
        return ()
    rows = np.arange(data.rows)
    some = rows[:: math.ceil(data.rows / _ROWS_FOR_TYPES)] if is_lazy(data.x) else rows
    try:
        return _types_fitted_on(some, task, data, points)
    except HpsearchError:
        if len(some) == len(rows):
            raise
        return _types_fitted_on(rows, task, data, points)


def _types_fitted_on(
    rows: Indices, task: Task, data: Data, points: Sequence[Params]
) -> tuple[str, ...]:
    from hpsearch.models.kept_transformers import types_to_trust
    from hpsearch.training.fold_preprocessing import choose_split
    from hpsearch.training.rows import prepare_rows

    whole = Split(rows, rows[:1])
    splits = dict.fromkeys(choose_split(task, whole, point) for point in points)
    fitted = [prepare_rows(task, data, split) for split in splits]
    return tuple(sorted({name for each in fitted for name in types_to_trust(each)}))


def own_training(study: StudyDefinition) -> "OwnTraining | None":
    """How kept models of the study's own training function are loaded; None where it has none.

    Baselines are kept as they are, and need no function.
    """
    from hpsearch.models.own_models import OwnTraining

    if study.searcher.label == BASELINES:
        return None
    return None if study.train is None else OwnTraining(study.task, study.space, study.train)


def read_card(folder: Path) -> Any:
    """The card in a folder. Raises OSError or ValueError where there is none."""
    return json.loads(read_regular_file(folder / CARD, _MOST_CARD_BYTES))


def is_kept_in(folder: Path, model: Mapping[str, Any], data: Data) -> bool:
    """Whether the folder holds this model, trained on this data."""
    try:
        there = read_card(folder)
        return (there["data"], identify_model(there)) == (data.fingerprint, identify_model(model))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
