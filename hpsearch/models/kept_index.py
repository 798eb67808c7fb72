"""The index of a folder of kept models, `model.json`: what says how its files belong together."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.arrays import inputs_by_name, targets_by_name
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.core.frames.types import ColumnType, FrameTypes
from hpsearch.core.outputs import MODEL_INDEX
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.task import Task
from hpsearch.core.task_kinds import KINDS
from hpsearch.models.kept_estimators import EstimatorOutput
from hpsearch.models.kept_targets import targets_to_json
from hpsearch.models.output_types import OutputType, OutputTypes, describe_outputs
from hpsearch.training.fitted_targets import FittedTargets

_FORMAT = 1
_FORMAT_OF_OUTPUTS = 2  # of several outputs, or of sequences: earlier versions refuse it
_FORMAT_OF_OWN = 3  # of a training function of the study's own
_FORMAT_OF_FRAMES = 4  # whose preprocessing takes frames
_FORMAT_OF_SEVERAL = 5  # whose models are preprocessed in several ways
_FORMAT_OF_TARGETS = 6  # whose predictions are changed back into the targets' own unit
_FORMAT_OF_ESTIMATORS = 7  # of scikit-learn's estimators
_FORMATS = (
    _FORMAT,
    _FORMAT_OF_OUTPUTS,
    _FORMAT_OF_OWN,
    _FORMAT_OF_FRAMES,
    _FORMAT_OF_SEVERAL,
    _FORMAT_OF_TARGETS,
    _FORMAT_OF_ESTIMATORS,
)
_LARGEST = 10_000_000  # bytes
_LINKS = ("linear", "sigmoid", "softmax")


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """What the index says. Its fields are those of `KeptModels`, and these:

    Args:
        is_own: whether the models are of a training function of the study's own.
        targets: what changes each model's predictions back, as plain JSON; None where nothing does.
        estimator: what the models predict, where they are estimators of scikit-learn's.
    """

    outputs: OutputTypes
    shapes: dict[str, tuple[int, ...]]
    columns: tuple[str, ...]
    weights: tuple[float, ...]
    prepared_by: tuple[int, ...]
    coding: Coding | None
    frames: Mapping[str, FrameTypes]
    is_own: bool
    targets: Any
    estimator: EstimatorOutput | None


def make_index(
    task: Task,
    data: Data,
    weights: Sequence[float],
    *,
    is_own: bool,
    estimator: EstimatorOutput | None = None,
    frames: Mapping[str, FrameTypes],
    prepared_by: Sequence[int],
    targets: Sequence[FittedTargets],
) -> dict[str, Any]:
    """The index of models as plain JSON, of the earliest format that says all of it.

    Args:
        task, data: that the models were trained on.
        weights: of each model.
        is_own: whether they are of a training function of the study's own.
        estimator: what they predict, where they are estimators of scikit-learn's.
        frames, prepared_by: as `KeptModels` has them.
        targets: what changes each model's predictions back; empty where nothing does.
    """
    outputs, several = _outputs_to_json(task, data), max(prepared_by) > 0
    plain = _FORMAT_OF_OUTPUTS if "outputs" in outputs else _FORMAT
    plain = _FORMAT_OF_OWN if is_own else plain
    plain = _FORMAT_OF_FRAMES if frames else plain
    plain = _FORMAT_OF_SEVERAL if several else plain
    index = {
        "format": _FORMAT_OF_TARGETS if targets else plain,
        "task": task.name,
        **outputs,
        "inputs": {name: array.shape[1:] for name, array in inputs_by_name(data.x).items()},
        "columns": data.columns,
        "coding": data.coding and data.coding.to_json(),
        "weights": weights,
    }
    if frames or several or targets:
        index["own"] = is_own
    if frames or several:
        index["frames"] = _frames_to_json(frames)
    if several:
        index["prepared_by"] = prepared_by
    if targets:
        index["targets"] = list(map(targets_to_json, targets))
    if estimator is not None:
        index |= {"format": _FORMAT_OF_ESTIMATORS, "own": False, "units": estimator.outputs}
    return index


def read_index(folder: Path) -> Index:
    """Read the index in a folder. Raises HpsearchError where it is none, or contradicts itself."""
    try:
        index = json.loads(read_regular_file(folder / MODEL_INDEX, _LARGEST))
        weights = tuple(float(weight) for weight in index["weights"])
        shapes = {name: tuple(map(int, shape)) for name, shape in index["inputs"].items()}
        columns = tuple(map(str, index["columns"]))
        # Folders of earlier versions have no coding, no kind and no link.
        coding = Coding.from_json(index["coding"]) if index.get("coding") else None
        outputs = _outputs_from_json(index)
        frames = _frames_from_json(index, shapes)
        prepared_by = _prepared_by_from_json(index, len(weights))
        _check_index(weights, shapes, columns, coding)
        if coding is not None and (why := _why_no_coding(coding, outputs)):
            raise ValueError(why)
        with_targets = index.get("format") in (_FORMAT_OF_TARGETS, _FORMAT_OF_ESTIMATORS)
        targets = index.get("targets") if with_targets else None
        if targets is not None and len(targets) != len(weights):
            raise ValueError("its preprocess_y is not of each model")
        is_own = bool(index.get("own", index.get("format") == _FORMAT_OF_OWN))
        estimator = _estimator_from_json(index)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise no_model_folder(folder, error) from error
    return Index(
        outputs, shapes, columns, weights, prepared_by, coding, frames, is_own, targets, estimator
    )


def _estimator_from_json(index: Mapping[str, Any]) -> EstimatorOutput | None:
    """What estimators predict; None of other models. Raises ValueError, KeyError or TypeError."""
    if index.get("format") != _FORMAT_OF_ESTIMATORS:
        return None
    kind, units, link = index["kind"], index["units"], index["link"]
    if kind not in KINDS or link not in _LINKS or type(units) is not int or units < 1:
        raise ValueError(f"its models predict nothing known: {brief([kind, units, link])}")
    return EstimatorOutput(kind, units, link, bool(index["logits"]))


def no_model_folder(folder: Path, error: Exception) -> HpsearchError:
    """The error of a folder whose index is none."""
    return HpsearchError(
        f"{folder} is no model folder ({first_line(error)}); name one that `hpsearch refit` wrote"
    )


def _prepared_by_from_json(index: Mapping[str, Any], models: int) -> tuple[int, ...]:
    """Which preprocessing each model has, as places from 0. Raises ValueError, KeyError, TypeError."""
    if "prepared_by" not in index:
        return (0,) * models
    found = tuple(index["prepared_by"])
    counted = set(range(len(set(found))))
    if len(found) != models or not all(type(n) is int for n in found) or set(found) != counted:
        raise ValueError(f"its models have no preprocessing: {brief(found)}")
    if len(counted) < 2:
        raise ValueError("it is said to have several preprocessings, and has one")
    return found


def _frames_to_json(frames: Mapping[str, FrameTypes]) -> dict[str, Any]:
    """The columns of each input with their types, as plain JSON."""
    return {
        name: [{"name": column, **held.to_json()} for column, held in types.items()]
        for name, types in frames.items()
    }


def _frames_from_json(
    index: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, FrameTypes]:
    """The inverse of `_frames_to_json`. Raises ValueError, KeyError or TypeError."""
    if "frames" not in index:
        return {}
    found: dict[str, FrameTypes] = {}
    for name, columns in index["frames"].items():
        types = {str(column["name"]): ColumnType.from_json(column) for column in columns}
        if shapes.get(name) != (len(columns),) or len(types) != len(columns):
            raise ValueError(f"the columns of {brief(name)} are not those of its rows")
        found[name] = types
    if not isinstance(index["own"], bool) or not (found or "prepared_by" in index):
        raise ValueError("it names no frame, and is said to have one")
    return found


def _why_no_coding(coding: Coding, outputs: Mapping[str, Any]) -> str:
    """Why a coding of targets does not go with these outputs; empty where it does."""
    if "" in outputs or (coding.is_own_unit and not coding.classes):
        return ""
    return "a coding names the classes or the unit of one target, and there are several outputs"


def _outputs_to_json(task: Task, data: Data) -> dict[str, Any]:
    """What the outputs predict, as plain JSON: as earlier versions have it where they can read it."""
    targets, outputs = targets_by_name(data.y), describe_outputs(task, data.y)
    by_name = {
        name: {
            "kind": part.kind_of(targets[name]),
            "link": part.link,
            "logits": part.from_logits,
            "sequence": outputs[name].is_sequence,
        }
        for name, part in task.parts.items()
    }
    if list(by_name) != [""] or outputs[""].is_sequence:
        return {"outputs": by_name}
    one = by_name[""]
    return {
        "kind": one["kind"],
        "classifies": task.classifies,
        "link": one["link"],
        "logits": one["logits"],
    }


def _outputs_from_json(index: Mapping[str, Any]) -> dict[str, OutputType]:
    """The inverse of `_outputs_to_json`. Raises ValueError, KeyError or TypeError."""
    if index.get("format", _FORMAT) not in _FORMATS:
        raise ValueError(f"its format is {brief(index['format'])}, of another version of hpsearch")
    if "outputs" not in index:
        labels, link = index.get("kind") == "multilabel", str(index.get("link", ""))
        classifies, logits = bool(index["classifies"]), bool(index["logits"])
        return {"": OutputType(classifies, logits, labels, link)}
    found = {}
    for name, output in index["outputs"].items():
        kind, link, sequence = output["kind"], output["link"], output["sequence"]
        if name and (why_no_name(name) or "/" in name):
            raise ValueError(f"an output cannot be called {brief(name)}")
        if kind not in KINDS or link not in _LINKS or (sequence and kind != "multiclass"):
            raise ValueError(f"output {brief(name)} contradicts itself: {brief(output)}")
        found[name] = OutputType(
            kind != "regression", bool(output["logits"]), kind == "multilabel", link, bool(sequence)
        )
    if not found or ("" in found) != (len(found) == 1):
        raise ValueError("outputs must be one without a name, or several with names")
    return found


def _check_index(
    weights: tuple[float, ...],
    shapes: dict[str, tuple[int, ...]],
    columns: tuple[str, ...],
    coding: Coding | None,
) -> None:
    """Raise ValueError where parts of an index contradict each other."""
    if not weights or not all(0 < weight <= 1 for weight in weights):
        raise ValueError("weights must be above 0, and at least one")
    if abs(math.fsum(weights) - 1) > 1e-6:
        raise ValueError("weights must add up to 1")
    if not shapes or any(size < 1 for shape in shapes.values() for size in shape):
        raise ValueError("inputs must have shapes of sizes above 0")
    if columns and (len(shapes) != 1 or (len(columns),) != next(iter(shapes.values()))):
        raise ValueError("columns must name each input")
    if coding is not None:
        if missing := set(coding.categories) - set(columns):
            raise ValueError(f"categories of no column: {', '.join(sorted(missing))}")
        if not (math.isfinite(coding.offset) and 0 < coding.scale < math.inf):
            raise ValueError("the target's scale must be above 0, and finite")
        if not 0 <= coding.logarithm < math.inf:
            raise ValueError("the target's logarithm must be 0 or above, and finite")
