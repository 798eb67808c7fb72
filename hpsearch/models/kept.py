"""Save and load a folder of trained models with their preprocessing, without pickle.

The folder holds `model-1.keras` ... by Keras, their preprocessing by skops (`kept_transformers`), and
`model.json`, which says how they belong together (`kept_index`). They are read in Keras's safe mode
and with skops's list of trusted types. Models of a study's own training function are
`model-1.npz` ..., see `own_models`; baselines are `model-1.skops` ..., see `kept_estimators`.
"""

import itertools
import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from hpsearch.core.arrays import Inputs, inputs_by_name, to_number_array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.frames.inputs import make_frame
from hpsearch.core.frames.rows import is_frame
from hpsearch.core.frames.types import FrameTypes, describe_frame
from hpsearch.core.outputs import MODEL_INDEX, OutputKind, files_in, is_kept_model, whole_output
from hpsearch.core.rules import show_path
from hpsearch.core.task import Task
from hpsearch.models.kept_estimators import EstimatorModel, EstimatorOutput, load_estimator
from hpsearch.models.kept_index import make_index, read_index
from hpsearch.models.kept_transformers import (
    load_targets,
    load_transformers,
    save_targets,
    save_transformers,
)
from hpsearch.models.output_types import OutputTypes, map_outputs
from hpsearch.models.own_models import OwnModel, OwnTraining, load_own_model
from hpsearch.models.retrain import TrainedModel, predict_by_each
from hpsearch.training.building import images_compiled_by_jax, without_tensorflow
from hpsearch.training.fitted_targets import FittedTargets, LastValues
from hpsearch.training.rows import prepare_inputs

_FILES = re.compile(
    r"model-\d+\.(keras|npz|skops)|preprocess(-\d+)?\.skops|targets-\d+\.skops|(model|card)\.json"
    r"|card\.md|test\.csv"
)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRows:
    """Rows to predict.

    Args:
        inputs: preprocessed, in each way that models need.
        last_values: for each model, what a Difference adds to its predictions of these rows.
    """

    inputs: Sequence[Any]
    last_values: Sequence[LastValues] = ()


@dataclass(frozen=True, slots=True, eq=False)
class KeptModels:
    """Models that predict together, by the weighted mean of their outputs.

    Args:
        outputs: what each output predicts, by its name; "" where there is one.
        shapes: the shape of a row, by input; "x" where there is one input.
        columns: the names of the columns of x, where it is a table with names.
        weights: of each model; they add up to 1.
        models: the Keras models, those of a training function, or estimators.
        transformers: the fitted preprocessing, once for all models or in several ways; None where
            there is none.
        prepared_by: for each model, the place of its preprocessing in `transformers`.
        coding: how cells of text became numbers, and targets were scaled; None where neither.
        frames: the types of the columns of the inputs that the preprocessing takes as frames.
        targets: what changes each model's predictions back; empty where nothing does.
    """

    outputs: OutputTypes
    shapes: dict[str, tuple[int, ...]]
    columns: tuple[str, ...]
    weights: tuple[float, ...]
    models: tuple[Any, ...]
    transformers: tuple[Any, ...]
    prepared_by: tuple[int, ...]
    coding: Coding | None = None
    frames: Mapping[str, FrameTypes] = field(default_factory=dict)
    targets: tuple[FittedTargets, ...] = ()

    def prepare_inputs(self, x: Inputs) -> PreparedRows:
        """Preprocess rows in each way that models need; DataError where NaN or infinity is left.

        Args:
            x: an array, or a dict of them by input. The columns of a frame are found by their
                names, where the preprocessing takes a frame; others of the frame are left out.
        """
        inputs = [
            prepare_inputs(transformer, self._make_frames(transformer, x))
            for transformer in self.transformers
        ]
        if not self.targets:
            return PreparedRows(inputs)
        in_order = {  # columns as they were in training
            name: make_frame(name, rows, self.frames[name]) if name in self.frames else rows
            for name, rows in inputs_by_name(x).items()
        }
        return PreparedRows(inputs, [each.find_last_values(in_order) for each in self.targets])

    def _make_frames(self, transformer: Any, x: Inputs) -> Inputs:
        """The inputs with frames where a transformer takes them."""
        if isinstance(x, Mapping):
            return {
                name: self._make_frame((transformer or {}).get(name), name, f"x[{name!r}]", rows)
                for name, rows in x.items()
            }
        return self._make_frame(transformer, "x", "x", x)

    def _make_frame(self, transformer: Any, name: str, called: str, rows: Any) -> Any:
        if name not in self.frames:
            return rows
        if transformer is None and not is_frame(rows):
            return rows
        frame = make_frame(called, rows, self.frames[name])
        if name == "x" and self.coding is not None:  # missing texts are empty, as in training
            frame = frame.assign(**{text: frame[text].fillna("") for text in self.coding.texts})
        # Another model's preprocessing takes it as a frame, and this one leaves it as it is.
        return to_number_array(called, frame) if transformer is None else frame

    def predict_each(self, rows: PreparedRows) -> Iterator[Any]:
        """Each model's predictions, as `retrain.predict` returns them, in the targets' own unit."""
        predictions = self._predict_learned(rows)
        if not self.targets:
            return predictions
        each = zip(self.targets, predictions, rows.last_values, strict=True)
        return (targets.undo(predicted, last) for targets, predicted, last in each)

    def _predict_learned(self, rows: PreparedRows) -> Iterator[Any]:
        """Each model's predictions in the unit that it has learned."""
        pairs = zip(self.prepared_by, self.models, strict=True)
        for place, found in itertools.groupby(pairs, key=operator.itemgetter(0)):
            models = [model for _, model in found]
            yield from predict_by_each(models, rows.inputs[place], self.outputs)

    def average(self, predictions: Iterable[Any]) -> Any:
        """The weighted mean of the models' predictions, in their order, for each output."""
        total = None
        for weight, predicted in zip(self.weights, predictions, strict=True):
            share = map_outputs(lambda each, by=weight: by * each, predicted)
            total = share if total is None else map_outputs(operator.add, total, share)
        return total


def _is_model_folder(folder: Path) -> bool:
    """Whether a folder holds files of kept models and nothing else."""
    found = files_in(folder)
    return is_kept_model(folder) and all(map(_FILES.fullmatch, found or ["?"]))


MODELS = OutputKind(
    "a folder of kept models alone", _is_model_folder, is_folder=True, makes_folders=True
)


def save(
    folder: Path, task: Task, data: Data, models: Iterable[tuple[float, TrainedModel]]
) -> tuple[str, ...]:
    """Write a folder of models, each with its weight; it appears whole or not at all.

    Returns the types in the preprocessing that must be trusted by name to load it. Raises
    HpsearchError where the preprocessing cannot be saved without pickle, or the folder is in use.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_output(folder, MODELS) as partial:
        partial.mkdir()
        weights: list[float] = []
        transformers: list[Any] = []
        prepared_by: list[int] = []
        frames: dict[str, FrameTypes] = {}
        targets: list[FittedTargets] = []
        is_own = False
        trust: set[str] = set()
        estimator: EstimatorOutput | None = None
        for number, (weight, trained) in enumerate(models, 1):
            weights.append(weight)
            is_own = isinstance(trained.model, OwnModel)
            if isinstance(trained.model, EstimatorModel):
                estimator = trained.model.output
                trust |= trained.model.types_to_trust
            ending = "skops" if estimator else "npz" if is_own else "keras"
            with without_tensorflow():
                trained.model.save(partial / f"model-{number}.{ending}")
            same = [n for n, each in enumerate(transformers) if each is trained.transformer]
            prepared_by.append(same[0] if same else len(transformers))
            transformers += [] if same else [trained.transformer]
            frames |= {name: describe_frame(code) for name, code in trained.frames.items()}
            targets += [] if trained.targets is None else [trained.targets]
        if isinstance(data.x, Mapping):  # of one alone, the columns are known by `data.columns`
            of_others = {name: describe_frame(code) for name, code in data.frames.items()}
            frames = of_others | frames
        trust |= {*save_transformers(partial, transformers), *save_targets(partial, targets)}
        index = make_index(
            task,
            data,
            weights,
            is_own=is_own,
            estimator=estimator,
            frames=frames,
            prepared_by=prepared_by,
            targets=targets,
        )
        (partial / MODEL_INDEX).write_text(json.dumps(index, indent=1))
    return tuple(sorted(trust))


def load(
    folder: Path, trusted: Iterable[str] = (), training: OwnTraining | None = None
) -> KeptModels:
    """Load a folder of models.

    Args:
        folder: as `save` wrote it.
        trusted: names of types to trust beside those that skops trusts itself.
        training: the study whose own training function the models are of; None for Keras models,
            and for baselines.

    Raises HpsearchError where it is no such folder, UntrustedError where it holds other types.
    """
    if not folder.exists():
        raise HpsearchError(f"there is no model folder {folder}; `hpsearch refit` writes one")
    index = read_index(folder)
    if index.is_own != (training is not None):
        raise HpsearchError(
            f"the models in {folder} are of a study's own training function, which predicts by "
            "them; name the study's file, which is run: --study studies/x.py"
            if index.is_own
            else f"the models in {folder} need no study to predict; leave --study out"
        )
    numbers = range(1, len(index.weights) + 1)
    models: tuple[Any, ...]
    if index.estimator is not None:
        output = index.estimator
        models = tuple(
            load_estimator(folder / f"model-{n}.skops", output, trusted) for n in numbers
        )
    elif training is not None:
        models = tuple(load_own_model(folder / f"model-{n}.npz", training) for n in numbers)
    else:
        models = tuple(load_model(folder / f"model-{n}.keras") for n in numbers)
    return KeptModels(
        index.outputs,
        index.shapes,
        index.columns,
        index.weights,
        models,
        load_transformers(folder, 1 + max(index.prepared_by), trusted),
        index.prepared_by,
        index.coding,
        index.frames,
        load_targets(folder, index, trusted),
    )


def load_model(path: Path) -> Any:
    """Load a Keras model from a file, without running code of it. HpsearchError where it cannot."""
    if not path.is_file():
        raise HpsearchError(
            f"{show_path(path)} is no file; name a folder that `hpsearch refit` wrote"
        )
    try:
        with without_tensorflow(), images_compiled_by_jax():
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file, a Lambda layer, or a layer of another library
        raise HpsearchError(
            f"{path} cannot be loaded in Keras's safe mode: {first_line(error)}"
        ) from error
