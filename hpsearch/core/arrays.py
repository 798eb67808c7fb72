"""Arrays of rows, as users give them: one, or several by name; and the checks of them."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array as Array
from hpsearch.core.array_types import Indices as Indices
from hpsearch.core.array_types import to_native_order
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.reading.foreign_rows import LARGE as LARGE
from hpsearch.core.reading.foreign_rows import as_source
from hpsearch.core.reading.lazy_rows import LazyRows, open_source, read_together
from hpsearch.core.reading.source import ArraySource, Source
from hpsearch.core.rules import brief, why_no_name

Inputs = Any
"""An array or LazyRows, or a dict of such by input."""
Targets = Array | Mapping[str, Array]


def inputs_by_name(x: Inputs) -> dict[str, Any]:
    """The inputs by name; a single array is called "x"."""
    return dict(x) if isinstance(x, Mapping) else {"x": x}


def targets_by_name(y: Targets) -> dict[str, Array]:
    """The targets by output; a single array is called ""."""
    return dict(y) if isinstance(y, Mapping) else {"": y}


def count_rows(arrays: Inputs) -> int:
    """The number of rows of an array, or of each of several."""
    return len(next(iter(arrays.values())) if isinstance(arrays, Mapping) else arrays)


def take_rows(arrays: Inputs, rows: Any) -> Any:
    """The rows at these indices, or of this slice, of an array or of each of several.

    Those of a source are read.
    """
    if isinstance(arrays, Mapping):
        return {name: array[rows] for name, array in arrays.items()}
    return arrays[rows]


def view_rows(arrays: Inputs, rows: Indices) -> Any:
    """The rows at these indices of an array, or of each of several; a source's are not read."""
    if isinstance(arrays, Mapping):
        return {name: view_rows(array, rows) for name, array in arrays.items()}
    if isinstance(arrays, LazyRows):
        return arrays.view(rows)
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1 and bool(np.all(np.diff(rows) == 1)):
        return arrays[first : last + 1]  # a view: a large holdout needs no second copy
    return arrays[rows]


def read_rows(arrays: Inputs) -> Any:
    """Arrays as they are, and the rows of sources read into memory."""
    lazy = {n: each for n, each in inputs_by_name(arrays).items() if isinstance(each, LazyRows)}
    if not lazy:
        return arrays
    found = read_together(lazy)
    return {**arrays, **found} if isinstance(arrays, Mapping) else found["x"]


def read_when_needed(arrays: Inputs) -> Inputs:
    """The same rows, where large arrays become LazyRows: views of them copy nothing."""
    if isinstance(arrays, Mapping):
        return {name: read_when_needed(array) for name, array in arrays.items()}
    if isinstance(arrays, LazyRows) or arrays.nbytes < LARGE:
        return arrays
    return open_source("x", ArraySource(arrays))


def is_lazy(arrays: Inputs) -> bool:
    """Whether rows, or those of one of several inputs, are read from a source when needed."""
    return any(isinstance(array, LazyRows) for array in inputs_by_name(arrays).values())


def number_groups(groups: Any) -> Array:
    """Number the groups from 0, in the order of their sorted names."""
    try:
        array = np.asarray(groups)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array.reshape(-1)
        if array.ndim == 1 and not (array.dtype.kind == "f" and np.isnan(array).any()):
            return np.unique(array, return_inverse=True)[1].reshape(-1)
    except (TypeError, ValueError) as error:  # ragged, or names beside numbers
        raise DataError(f"groups cannot be compared: {first_line(error)}") from error
    raise DataError(
        f"groups must be one number or name a row, and none of them NaN, got {brief(groups)}"
    )


def is_one_hot(y: Array) -> bool:
    """Whether each row of shape (rows, classes) is all zeros but for a single one."""
    if y.ndim != 2 or y.shape[1] < 2:
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def check_weights(name: str, given: Any, y: Any) -> Array:
    """Weights as float32: finite, not negative, a number for each row, or each step of a sequence."""
    weights = to_number_array(name, given)
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights.reshape(-1)
    is_by_step = isinstance(y, np.ndarray) and weights.ndim == 2 and weights.shape == y.shape[:2]
    if weights.ndim != 1 and not is_by_step:
        raise DataError(
            f"{name} must be one number a row, or one a step of a sequence, got shape "
            f"{weights.shape}"
        )
    with np.errstate(over="ignore"):
        weights = weights.astype(np.float32)
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        raise DataError(
            f"{name} must be finite numbers from 0 on, got {weights[wrong][0]} in row "
            f"{int(np.flatnonzero(wrong)[0])}"
        )
    return weights


def check_inputs(name: str, value: Any) -> Any:
    """Inputs as an array or rows of a source, or as a dict of such."""
    if not isinstance(value, Mapping):
        return _check_input(name, value)
    checked = {}
    for key, part in check_names(name, value).items():
        checked[key] = _check_input(f"{name}[{key!r}]", part)
        if isinstance(checked[key], Mapping):
            raise DataError(f"{name}[{key!r}] gives several inputs; name them in its own dict")
    return checked


def _check_input(name: str, value: Any) -> Any:
    if isinstance(value, LazyRows):
        return value
    source = as_source(value, name)
    return to_number_array(name, value) if source is None else open_source(name, source)


def check_targets(name: str, value: Any) -> Any:
    """Targets as an array of numbers, or as a dict of such arrays."""
    if not isinstance(value, Mapping):
        return to_number_array(name, value)
    return {
        key: to_number_array(f"{name}[{key!r}]", part)
        for key, part in check_names(name, value).items()
    }


def check_names(name: str, value: Mapping[Any, Any]) -> Mapping[str, Any]:
    """The dict, if its keys can name inputs; else DataError."""
    if not value:
        raise DataError(f"{name} must have at least one input, got an empty dict")
    for key in value:
        if why := why_no_name(key):
            raise DataError(f"inputs of {name} need {why}, got {brief(key)}")
    return value


def to_number_array(name: str, value: Any) -> Array:
    """A value as an array of numbers that networks take. Raises DataError for any other value."""
    if isinstance(value, Source | LazyRows):
        way_out = ", or let the source of x have it as its `targets`" if name[0] == "y" else ""
        raise DataError(
            f"{name} must be in memory, got {brief(value)}; read it into an array{way_out}"
        )
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DataError(
            f"{name} has masked values, which would be used as data; use x.filled(np.nan)"
        )
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of unequal length
        raise DataError(f"{name} is not an array: {first_line(error)}") from error
    if array.dtype == object:  # a frame with columns of several kinds
        array = _unbox_numbers(array)
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if array.ndim == 0 or kind not in "biuf" or bits > 64:
        raise DataError(
            f"{name} must be an array of numbers with a row a sample, got dtype {array.dtype} and "
            f"shape {array.shape}; {_way_out(kind, bits)}"
        )
    if 0 in array.shape[1:]:
        raise DataError(f"{name} has no columns: its shape is {array.shape}")
    return to_native_order(array)


def _way_out(kind: str, bits: int) -> str:
    if kind == "c":
        return "split complex numbers into real and imaginary parts"
    if kind == "f" and bits > 64:
        return "no network computes so precisely: use astype(np.float64)"
    if kind in "mM":
        return "turn times into numbers, as days since a date"
    return "encode text and categories as numbers"


def _unbox_numbers(array: Array) -> Array:
    """Python objects as float64, if each is a number that float64 can hold; else unchanged."""
    for value in array.flat:
        if isinstance(value, str | bytes | complex | np.complexfloating):
            return array
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return array
    changed = array[~((numbers == array) | np.isnan(numbers))]  # for example Decimal("0.1")
    return numbers if all(isinstance(each, Decimal | Fraction) for each in changed) else array


def check_same_rows(arrays: Mapping[str, Inputs | None]) -> None:
    lengths = {
        name if part == "x" else f"{name}[{part!r}]": len(array)
        for name, value in arrays.items()
        if value is not None
        for part, array in inputs_by_name(value).items()
    }
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"every array needs the same number of rows, got "
            f"{', '.join(f'{name}: {rows}' for name, rows in lengths.items())}"
        )


def check_same_shape(name: str, searched: Inputs, other: Inputs | None, called: str) -> None:
    """Raise DataError where other rows, called so, have another shape than the searched rows."""
    if other is None:
        return
    here = {part: array.shape[1:] for part, array in inputs_by_name(searched).items()}
    there = {part: array.shape[1:] for part, array in inputs_by_name(other).items()}
    if here != there:
        raise DataError(
            f"{called} needs rows of the same shape as {name}, got {brief(there)} and {brief(here)}"
        )
