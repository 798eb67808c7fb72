"""What a training function of the study's own saves, as plain arrays, and back.

A state is a nested dict, list or tuple of arrays, numbers and strings, with Keras objects among
them; files of a folder may lie beside it. Keras objects are never made from a file: the study's
function makes them, and their variables are filled. No framework is imported here.
"""

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hpsearch.core.errors import BuildError, first_line
from hpsearch.core.rules import brief
from hpsearch.training.checkpoint import (
    Curves,
    UnusableError,
    list_variables,
    plain_array,
    read_arrays,
    save_arrays,
    text_array,
)
from hpsearch.training.history import History

log = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**30  # that a state takes on the disk
_MOST_FILES = 10_000

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class SavedState:
    """A state that was saved.

    Args:
        state: its structure as JSON, in which arrays have names.
        arrays: by these names.
        files: names in `arrays` of the files' bytes, by their places in the folder.
        n_weights: how many weights it holds.
        is_complete: whether more epochs would change nothing.
    """

    state: Any
    arrays: Arrays
    files: Mapping[str, str]
    n_weights: int = 0
    is_complete: bool = False

    def to_arrays(self) -> Arrays:
        """The arrays that `unpack_state` makes it of."""
        index = {
            "state": self.state,
            "files": dict(self.files),
            "weights": self.n_weights,
            "complete": self.is_complete,
        }
        return {**self.arrays, "state": text_array(json.dumps(index))}

    def to_value(self) -> Any:
        """The state, with NumPy arrays. BuildError where Keras objects are in it."""
        if places := _keras_places(self.state):
            way = "model" if places == [""] else '{"model": model, ...}'
            what = ", ".join(filter(None, places)) or "a Keras model"
            raise BuildError(
                f"train saved Keras objects ({what}), which are filled and not made anew: make "
                f"them, and call run.restore({way}) with them"
            )
        return self._decode(self.state)

    def fill(self, given: Any) -> Any:
        """Fill the Keras objects in a state like the one that was saved, and return it as saved.

        Raises UnusableError, with nothing filled, where it is not like that one.
        """
        values: list[tuple[Any, Any]] = []
        found = self._match(self.state, given, "", values)
        for variable, value in values:
            variable.assign(value)
        return found

    def write_files(self, folder: Path) -> None:
        """Write the files into an empty folder."""
        for place, name in self.files.items():
            target = folder.joinpath(*PurePosixPath(place).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.arrays[name].tobytes())

    def _match(self, saved: Any, given: Any, place: str, values: list[tuple[Any, Any]]) -> Any:
        """What `fill` returns of a part of the state; `values` collects variables to assign."""
        if not _keras_places(saved):
            if _is_keras_object(given):
                raise UnusableError(f"{place or 'the state'} was saved as something else")
            return self._decode(saved)
        ((kind, inner),) = saved.items()
        if kind == "keras":
            if not _is_keras_object(given):
                raise UnusableError(f"{place or 'the state'} was saved as a Keras object")
            variables = list_object_variables(given)
            wanted = [tuple(self.arrays[name].shape) for name in inner]
            shapes = [tuple(variable.shape) for variable in variables]
            if shapes != wanted:
                hint = ""
                if len(shapes) < len(wanted):
                    hint = (
                        "; build it before: begin a Sequential with keras.Input(...), and call "
                        "optimizer.build(model.trainable_variables)"
                    )
                raise UnusableError(
                    f"{place or 'the model'} has variables of shapes {brief(shapes)}, and those of "
                    f"{brief(wanted)} were saved{hint}"
                )
            values += zip(variables, (self.arrays[name] for name in inner), strict=True)
            return given
        if kind == "dict":
            if not isinstance(given, Mapping) or given.keys() != inner.keys():
                raise UnusableError(
                    f"{place or 'the state'} was saved with the keys {', '.join(inner)}, got "
                    f"{', '.join(map(str, given)) if isinstance(given, Mapping) else brief(given)}"
                )
            return {
                name: self._match(part, given[name], _join(place, name), values)
                for name, part in inner.items()
            }
        if not isinstance(given, list | tuple) or len(given) != len(inner):
            raise UnusableError(f"{place} was saved as {len(inner)} objects, got {brief(given)}")
        parts = zip(inner, given, strict=True)
        found = [self._match(p, g, _join(place, str(i)), values) for i, (p, g) in enumerate(parts)]
        return tuple(found) if kind == "tuple" else found

    def _decode(self, saved: Any) -> Any:
        ((kind, inner),) = saved.items()
        if kind == "dict":
            return {name: self._decode(part) for name, part in inner.items()}
        if kind in ("list", "tuple"):
            found = [self._decode(part) for part in inner]
            return tuple(found) if kind == "tuple" else found
        if kind == "array":
            name, dtype = inner
            # Writable, as what was saved may be: those of a file are not.
            return np.array(self.arrays[name]).astype(_to_dtype(dtype), copy=False)
        return inner


def pack_state(state: Any, folder: Path | None, *, is_complete: bool = False) -> Arrays:
    """The arrays that hold a state and the files of a folder; `unpack_state` is the inverse.

    Raises BuildError for anything that cannot be saved without pickle, and for too much.
    """
    arrays: Arrays = {}

    def add(array: Any) -> str:
        arrays[name := f"array_{len(arrays)}"] = plain_array(array)
        return name

    described = _encode(state, "", add)
    files = {place: add(np.frombuffer(data, np.uint8)) for place, data in _read_files(folder)}
    index = {"state": described, "files": files, "weights": count_weights(state)}
    index["complete"] = is_complete
    arrays["state"] = text_array(json.dumps(index))
    if (size := sum(array.nbytes for array in arrays.values())) > MOST_BYTES:
        raise BuildError(
            f"train saves {size:,} bytes, and a checkpoint holds {MOST_BYTES:,}; save less"
        )
    return arrays


def unpack_state(arrays: Arrays) -> SavedState:
    """The state in arrays that `pack_state` made. Raises UnusableError for any other arrays."""
    arrays = dict(arrays)
    try:
        index = json.loads(bytes(arrays.pop("state")))
        described, files, n_weights = index["state"], index["files"], index["weights"]
        is_complete = bool(index["complete"])
        _check_described(described, arrays)
        for place, name in files.items():
            if why := _why_no_place(place):
                raise UnusableError(f"a file in it {why}")
            if arrays[name].dtype != np.uint8 or arrays[name].ndim != 1:
                raise UnusableError("a file in it is no bytes")
        if type(n_weights) is not int or n_weights < 0:
            raise UnusableError("its number of weights is none")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnusableError(f"its state is damaged ({first_line(error)})") from error
    return SavedState(described, arrays, files, n_weights, is_complete)


def save_state(history: History, state: Any, folder: Path | None) -> None:
    """Write a state, and the files of a folder, to the checkpoint of a history's fit."""
    save_arrays(history, pack_state(state, folder, is_complete=history.is_complete))


def find_state(history: History) -> tuple[SavedState, Curves] | None:
    """The state to continue from, with its curves: the fit's own, else its parent's, else None."""
    fit = history.fit
    for path in (fit.checkpoint_out, fit.checkpoint_in):
        if path is None:
            continue
        try:
            arrays, curves = read_arrays(path, history, 2 * MOST_BYTES)
            return unpack_state(arrays), curves
        except FileNotFoundError:
            continue
        except Exception as error:  # a damaged file may raise anything
            log.warning(
                "checkpoint %s cannot be used (%s); its epochs are trained again", path, error
            )
    return None


def count_weights(state: Any) -> int:
    """How many weights a state holds: those of its Keras models; without one, all its floats."""
    leaves = list(_leaves(state))
    models = [leaf for leaf in leaves if _is_keras_object(leaf) and _is_layer(leaf)]
    if models:
        return sum(int(model.count_params()) for model in models)
    others = [leaf for leaf in leaves if not _is_keras_object(leaf)]
    arrays = [leaf for leaf in others if "float" in str(getattr(leaf, "dtype", ""))]
    return sum(math.prod(np.shape(leaf)) for leaf in arrays)


def list_object_variables(given: Any) -> list[Any]:
    """The variables of a Keras object, in an order that depends on its structure alone."""
    import keras

    if isinstance(given, keras.Variable):
        return [given]
    if isinstance(given, keras.random.SeedGenerator):
        return [given.state]
    if isinstance(given, keras.Model):
        if getattr(given, "optimizer", None) is not None:
            return list_variables(given)
        metrics = {id(variable) for variable in given.metrics_variables}
        return [variable for variable in given.variables if id(variable) not in metrics]
    return list(given.variables)


def _encode(value: Any, place: str, add: Callable[[Any], str]) -> Any:
    """A value as JSON with names of arrays; BuildError where it cannot be saved."""
    if value is None or isinstance(value, bool | int | float | str):
        if isinstance(value, np.float64):  # which is a float
            return {"array": [add(np.asarray(value)), value.dtype.name]}
        return {"value": str(value) if isinstance(value, str) else value}
    if isinstance(value, Mapping):
        if strange := [name for name in value if not isinstance(name, str)]:
            raise BuildError(f"run.save needs dicts with texts as keys, got {brief(strange[0])}")
        return {"dict": {n: _encode(part, _join(place, n), add) for n, part in value.items()}}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        parts = [_encode(part, _join(place, str(i)), add) for i, part in enumerate(value)]
        return {kind: parts}
    if _is_keras_object(value):
        import keras

        variables = list_object_variables(value)
        return {"keras": [add(keras.ops.convert_to_numpy(variable)) for variable in variables]}
    try:
        array = np.asarray(value)
    except Exception as error:  # frameworks raise their own
        raise BuildError(_unsaved_text(place, value)) from error
    if not _is_number_type(array.dtype):
        raise BuildError(_unsaved_text(place, value))
    return {"array": [add(array), array.dtype.name]}


def _is_number_type(dtype: Any) -> bool:
    """Whether a dtype is of plain numbers, or one such as bfloat16, which NumPy knows by name."""
    return dtype.kind in "biuf" or (dtype.kind == "V" and "float" in dtype.name)


def _to_dtype(name: str) -> Any:
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # noqa: F401 - registers bfloat16 and the like with NumPy

        return np.dtype(name)


def _unsaved_text(place: str, value: Any) -> str:
    where = f" as {place}" if place else ""
    return (
        f"run.save cannot save {brief(value)}{where}: it takes arrays, numbers, texts and Keras "
        "objects in dicts and lists, and whatever lies in files of run.folder"
    )


def _check_described(saved: Any, arrays: Arrays) -> None:
    """Raise where a state's JSON is not as `_encode` makes it."""
    ((kind, inner),) = saved.items()
    if kind == "dict":
        for part in inner.values():
            _check_described(part, arrays)
    elif kind in ("list", "tuple"):
        for part in inner:
            _check_described(part, arrays)
    elif kind == "array":
        name, dtype = inner
        _ = arrays[name]
        if not _is_number_type(_to_dtype(dtype)):
            raise UnusableError("its state has arrays of no numbers")
    elif kind == "keras":
        _ = [arrays[name] for name in inner]
    elif kind != "value" or not (inner is None or isinstance(inner, bool | int | float | str)):
        raise UnusableError("its state is of an unknown layout")


def _keras_places(saved: Any, place: str = "") -> list[str]:
    """Where a state's JSON has Keras objects."""
    ((kind, inner),) = saved.items()
    if kind == "keras":
        return [place]
    parts = (
        inner.items() if kind == "dict" else enumerate(inner) if kind in ("list", "tuple") else ()
    )
    return [each for n, part in parts for each in _keras_places(part, _join(place, str(n)))]


def _leaves(value: Any) -> Any:
    parts = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple):
        for part in parts:
            yield from _leaves(part)
    else:
        yield value


def _is_keras_object(value: Any) -> bool:
    keras = sys.modules.get("keras")  # where it was not imported, there are no such objects
    if keras is None or value is None:
        return False
    kinds = (keras.Layer, keras.Variable, keras.optimizers.Optimizer, keras.metrics.Metric)
    return isinstance(value, (*kinds, keras.random.SeedGenerator))


def _is_layer(value: Any) -> bool:
    return isinstance(value, sys.modules["keras"].Layer)


def _read_files(folder: Path | None) -> Any:
    """The place and the bytes of each file in a folder."""
    if folder is None:
        return
    found = sorted(folder.rglob("*"))
    if len(found) > _MOST_FILES:
        raise BuildError(f"run.folder holds {len(found):,} files, and {_MOST_FILES:,} are saved")
    size = 0
    for path in found:
        place = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BuildError(f"run.folder holds {place}, which is no file; write files alone")
        if path.is_dir():
            continue
        if why := _why_no_place(place):
            raise BuildError(f"run.folder holds a file that {why}; give it a plain name")
        if (size := size + path.stat().st_size) > MOST_BYTES:
            raise BuildError(f"run.folder holds more than {MOST_BYTES:,} bytes; save less")
        yield place, path.read_bytes()


def _why_no_place(place: Any) -> str:
    """Why a text is no place of a file within a folder; empty where it is one."""
    if not isinstance(place, str) or not place or set(place) & set('\\:\0<>"|?*'):
        return f"is called {brief(place)}"
    if place.startswith("/") or any(part in ("", ".", "..") for part in place.split("/")):
        return f"would lie outside of its folder ({brief(place)})"
    return ""


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name
