"""Save and load a folder of trained models with their preprocessing, without pickle.

The folder holds `model-1.keras` ... by Keras, `preprocess.skops` by skops, and `model.json`, which
says how they belong together. Where models are preprocessed in several ways, these are
`preprocess-1.skops` ... What changes each model's predictions back into the targets' own unit is in
`targets-1.skops` ... They are read in Keras's safe mode and with skops's list of trusted
types. Models of a study's own training function are `model-1.npz` ..., see `own_models`.
"""

import itertools
import json
import math
import operator
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from hpsearch.core.arrays import Inputs, inputs_by_name, targets_by_name, to_number_array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, UntrustedError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.core.frames.inputs import make_frame
from hpsearch.core.frames.types import ColumnType, FrameTypes, describe_frame
from hpsearch.core.outputs import MODEL_INDEX, OutputKind, files_in, is_kept_model, whole_output
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.task import Task
from hpsearch.core.task_kinds import KINDS
from hpsearch.models.kept_targets import list_transformers, targets_from_json, targets_to_json
from hpsearch.models.output_types import OutputType, OutputTypes, describe_outputs, map_outputs
from hpsearch.models.own_models import OwnModel, OwnTraining, load_own_model
from hpsearch.models.retrain import TrainedModel, predict_by_each
from hpsearch.training.building import images_compiled_by_jax, without_tensorflow
from hpsearch.training.rows import SplitRows, prepare_inputs
from hpsearch.training.target_preprocessing import FittedTargets, LastValues

_FORMAT = 1
_FORMAT_OF_OUTPUTS = 2  # of several outputs, or of sequences: earlier versions refuse it
_FORMAT_OF_OWN = 3  # of a training function of the study's own
_FORMAT_OF_FRAMES = 4  # whose preprocessing takes frames
_FORMAT_OF_SEVERAL = 5  # whose models are preprocessed in several ways
_FORMAT_OF_TARGETS = 6  # whose predictions are changed back into the targets' own unit
_FORMATS = (
    _FORMAT,
    _FORMAT_OF_OUTPUTS,
    _FORMAT_OF_OWN,
    _FORMAT_OF_FRAMES,
    _FORMAT_OF_SEVERAL,
    _FORMAT_OF_TARGETS,
)
_LINKS = ("linear", "sigmoid", "softmax")
# Beside the types that skops trusts itself: those that the package has for preprocessing.
_HARMLESS = (
    "numpy.dtype",
    "hpsearch.transformers.date_parts.DateParts",
    "hpsearch.transformers.lags.Lags",
    "hpsearch.transformers.per_channel.PerChannel",
    # It makes none but Keras's layers of a closed list, of plain values.
    "hpsearch.training.layer_transformer.LayerTransformer",
)
_PREPROCESS, _PREPROCESS_OF = "preprocess.skops", "preprocess-{}.skops"
_TARGETS_OF = "targets-{}.skops"
_FILES = re.compile(
    r"model-\d+\.(keras|npz)|preprocess(-\d+)?\.skops|targets-\d+\.skops|(model|card)\.json"
    r"|card\.md|test\.csv"
)
_LARGEST_INDEX, _LARGEST_PREPROCESS = 10_000_000, 2_000_000_000  # bytes


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
        models: the Keras models, or those of a training function.
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
        for number, (weight, trained) in enumerate(models, 1):
            weights.append(weight)
            is_own = isinstance(trained.model, OwnModel)
            with without_tensorflow():
                trained.model.save(partial / f"model-{number}.{'npz' if is_own else 'keras'}")
            same = [n for n, each in enumerate(transformers) if each is trained.transformer]
            prepared_by.append(same[0] if same else len(transformers))
            transformers += [] if same else [trained.transformer]
            frames |= {name: describe_frame(code) for name, code in trained.frames.items()}
            targets += [] if trained.targets is None else [trained.targets]
        trust = {*_save_transformers(partial, transformers), *_save_targets(partial, targets)}
        outputs = _outputs_to_json(task, data)
        plain = _FORMAT_OF_OUTPUTS if "outputs" in outputs else _FORMAT
        plain = _FORMAT_OF_OWN if is_own else plain
        plain = _FORMAT_OF_FRAMES if frames else plain
        several = len(transformers) > 1
        index = {
            "format": _FORMAT_OF_SEVERAL if several else plain,
            "task": task.name,
            **outputs,
            "inputs": {name: array.shape[1:] for name, array in inputs_by_name(data.x).items()},
            "columns": data.columns,
            "coding": data.coding and data.coding.to_json(),
            "weights": weights,
        }
        if frames or several:
            index |= {"own": is_own, "frames": _frames_to_json(frames)}
        if several:
            index["prepared_by"] = prepared_by
        if targets:
            index |= {"format": _FORMAT_OF_TARGETS, "own": is_own}
            index["targets"] = list(map(targets_to_json, targets))
        (partial / MODEL_INDEX).write_text(json.dumps(index, indent=1))
    return tuple(sorted(trust))


def load(
    folder: Path, trusted: Iterable[str] = (), training: OwnTraining | None = None
) -> KeptModels:
    """Load a folder of models.

    Args:
        folder: as `save` wrote it.
        trusted: names of types to trust beside those that skops trusts itself.
        training: the study whose own training function the models are of; None for Keras models.

    Raises HpsearchError where it is no such folder, UntrustedError where it holds other types.
    """
    if not folder.exists():
        raise HpsearchError(f"there is no model folder {folder}; `hpsearch refit` writes one")
    try:
        index = json.loads(read_regular_file(folder / MODEL_INDEX, _LARGEST_INDEX))
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HpsearchError(
            f"{folder} is no model folder ({first_line(error)}); name one that `hpsearch refit` "
            "wrote"
        ) from error
    is_own = index.get("own", index.get("format") == _FORMAT_OF_OWN)
    if is_own != (training is not None):
        raise HpsearchError(
            f"the models in {folder} are of a study's own training function, which predicts by "
            "them; name the study's file, which is run: --study studies/x.py"
            if is_own
            else f"the models in {folder} are Keras models, which need no study; leave --study out"
        )
    numbers = range(1, len(weights) + 1)
    models: tuple[Any, ...]
    if training is not None:
        models = tuple(load_own_model(folder / f"model-{n}.npz", training) for n in numbers)
    else:
        models = tuple(_load_model(folder / f"model-{n}.keras") for n in numbers)
    transformers: tuple[Any, ...]
    if ways := max(prepared_by):
        files = [folder / _PREPROCESS_OF.format(number) for number in range(1, ways + 2)]
        if missing := [file for file in files if not file.exists()]:
            raise HpsearchError(f"{missing[0]} is missing; refit the study again")
        transformers = tuple(_load_transformer(file, trusted) for file in files)
    else:
        transformers = (_load_transformer(folder / _PREPROCESS, trusted),)
    targets = _load_targets(folder, index, shapes, outputs, trusted)
    return KeptModels(
        outputs,
        shapes,
        columns,
        weights,
        models,
        transformers,
        prepared_by,
        coding,
        frames,
        targets,
    )


def _load_targets(
    folder: Path,
    index: Mapping[str, Any],
    shapes: dict[str, tuple[int, ...]],
    outputs: OutputTypes,
    trusted: Iterable[str],
) -> tuple[FittedTargets, ...]:
    """What changes each model's predictions back. Raises HpsearchError where it contradicts itself."""
    if index.get("format") != _FORMAT_OF_TARGETS:
        return ()
    found = []
    try:
        if len(index["targets"]) != len(index["weights"]):
            raise ValueError("its preprocess_y is not of each model")
        for number, given in enumerate(index["targets"], 1):
            transformers = _load_transformer(folder / _TARGETS_OF.format(number), trusted)
            found.append(targets_from_json(given, transformers, shapes, outputs))
    except (ValueError, KeyError, TypeError) as error:
        raise HpsearchError(
            f"{folder} is no model folder ({first_line(error)}); name one that `hpsearch refit` "
            "wrote"
        ) from error
    return tuple(found)


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


def types_to_trust(rows: SplitRows) -> tuple[str, ...]:
    """The types in fitted preprocessing that must be trusted by name to load it.

    Args:
        rows: that it was fitted on.
    """
    found: set[str] = set()
    if rows.transformer is not None:
        found.update(_unknown_types(_dump_transformer(rows.transformer)))
    if rows.own_targets is not None:
        transformers = list_transformers(rows.own_targets.fitted)
        found.update(_unknown_types(_dump_transformer(transformers, "preprocess_y")))
    return tuple(sorted(found))


def _save_transformers(folder: Path, transformers: Sequence[Any]) -> tuple[str, ...]:
    """Write fitted preprocessing; returns the types that must be trusted by name to load it."""
    trust: set[str] = set()
    for number, transformer in enumerate(transformers, 1):
        if transformer is not None:
            saved = _dump_transformer(transformer)
            trust.update(_unknown_types(saved))
            name = _PREPROCESS if len(transformers) == 1 else _PREPROCESS_OF.format(number)
            (folder / name).write_bytes(saved)
    return tuple(sorted(trust))


def _save_targets(folder: Path, targets: Sequence[FittedTargets]) -> set[str]:
    """Write what changes predictions back; returns the types that must be trusted to load it."""
    trust: set[str] = set()
    for number, fitted in enumerate(targets, 1):
        if transformers := list_transformers(fitted):
            saved = _dump_transformer(transformers, "preprocess_y")
            trust.update(_unknown_types(saved))
            (folder / _TARGETS_OF.format(number)).write_bytes(saved)
    return trust


def _unknown_types(saved: bytes) -> tuple[str, ...]:
    from skops import io

    return tuple(sorted(set(io.get_untrusted_types(data=saved)) - set(_HARMLESS)))


def _dump_transformer(transformer: Any, option: str = "preprocess") -> bytes:
    from skops import io

    try:
        saved: bytes = io.dumps(transformer)
    except Exception as error:  # a transformer of the user's own may raise anything
        raise HpsearchError(
            f"{option}={transformer!r} cannot be saved without pickle ({first_line(error)}); use "
            "scikit-learn's own transformers, or functions of a module"
        ) from error
    return saved


def _load_transformer(path: Path, trusted: Iterable[str]) -> Any:
    if not path.exists():
        return None
    from skops import io

    try:
        saved = read_regular_file(
            path, _LARGEST_PREPROCESS
        )  # read once: the bytes loaded are those checked
        unknown = [name for name in _unknown_types(saved) if name not in set(trusted)]
        if not unknown:
            return io.loads(saved, trusted=[*_HARMLESS, *trusted])
    except Exception as error:  # a damaged or foreign file
        raise HpsearchError(f"{path} cannot be read: {first_line(error)}") from error
    raise UntrustedError(
        f"{path} holds the types {', '.join(unknown)}, which could run any code when loaded; if "
        f"you know where it comes from: {' '.join(f'--trust {shlex.quote(n)}' for n in unknown)}"
    )


def _load_model(path: Path) -> Any:
    if not path.is_file():
        raise HpsearchError(f"{path} is no file; name a folder that `hpsearch refit` wrote")
    try:
        with without_tensorflow(), images_compiled_by_jax():
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file, a Lambda layer, or a layer of another library
        raise HpsearchError(
            f"{path} cannot be loaded in Keras's safe mode: {first_line(error)}"
        ) from error
