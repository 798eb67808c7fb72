"""The validation part that a user gives: joined behind the rows to train on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.core.arrays import (
    Array,
    Inputs,
    Targets,
    check_inputs,
    check_same_rows,
    check_same_shape,
    check_targets,
    check_weights,
    count_rows,
    is_lazy,
    read_rows,
)
from hpsearch.core.errors import DataError
from hpsearch.core.reading.joined_source import JoinedSource
from hpsearch.core.reading.lazy_rows import open_source


def join_validation(
    searched: tuple[Inputs, Targets, Array | None],
    given: tuple[Any, Any, Any],
) -> tuple[Inputs, Targets, Array | None]:
    """The rows of both parts, one after the other. Those of sources are not read.

    Args:
        searched: x, y and sample_weight of the rows to train on, checked.
        given: x_val, y_val and sample_weight_val as the user gave them; None where not.

    Raises DataError where the parts do not have the same arrays, of the same shapes and types.
    """
    x, y, weights = searched
    for name, value in zip(("x_val", "y_val"), given, strict=False):
        if value is None:
            raise DataError(f"Data(x_val=, y_val=) go together, and {name} is missing")
    x_val, y_val = check_inputs("x_val", given[0]), check_targets("y_val", given[1])
    weights_val = (
        given[2] if given[2] is None else check_weights("sample_weight_val", given[2], y_val)
    )
    if (weights is None) != (weights_val is None):
        missing = "sample_weight" if weights is None else "sample_weight_val"
        raise DataError(
            f"sample_weight and sample_weight_val go together, and {missing} is missing; give ones "
            "where all rows weigh the same"
        )
    check_same_rows({"x_val": x_val, "y_val": y_val, "sample_weight_val": weights_val})
    if count_rows(y_val) == 0:
        raise DataError("x_val has no rows")
    joined = [
        _join(name, first, second) for name, first, second in (("x", x, x_val), ("y", y, y_val))
    ]
    if weights is not None:
        joined.append(_join("sample_weight", weights, weights_val))
    return joined[0], joined[1], joined[2] if weights is not None else None


def _join(name: str, first: Any, second: Any) -> Any:
    check_same_shape(name, first, second, f"{name}_val")
    if not isinstance(first, Mapping):
        return _join_arrays(name, first, second)
    return {key: _join_arrays(f"{name}[{key!r}]", first[key], second[key]) for key in first}


def _join_arrays(name: str, first: Any, second: Any) -> Any:
    if first.dtype != second.dtype:
        raise DataError(
            f"the validation part of {name} needs the type of {name}, got {second.dtype} and "
            f"{first.dtype}; convert one: astype({str(first.dtype)!r})"
        )
    if is_lazy(first) or is_lazy(second):
        return open_source(name, JoinedSource([first, second]))
    return np.concatenate([read_rows(first), read_rows(second)])
