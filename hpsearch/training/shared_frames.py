"""The codes of frames as plain JSON, for the workers that map the same arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.core.frames.rows import ColumnCode, FrameCode
from hpsearch.core.frames.types import ColumnType, describe_column, kind_of_type

_NAN = {"missing": "nan"}


def codes_to_json(codes: Mapping[str, FrameCode]) -> dict[str, Any] | None:
    """Codes by input as plain JSON; None where they hold objects that JSON has not."""
    found = {}
    for name, code in codes.items():
        if code.columns is None or not all(isinstance(each, str) for each in code.columns):
            return None
        columns = [_column_to_json(each) for each in code.codes]
        if None in columns:
            return None
        found[name] = {"names": list(code.columns), "columns": columns}
    return found


def codes_from_json(found: Mapping[str, Any]) -> dict[str, FrameCode]:
    """The inverse of `codes_to_json`."""
    import pandas as pd

    return {
        name: FrameCode(
            pd.Index(code["names"]), tuple(_column_from_json(each) for each in code["columns"])
        )
        for name, code in found.items()
    }


def _column_to_json(code: ColumnCode) -> dict[str, Any] | None:
    if kind_of_type(str(code.dtype)) is None:
        return None
    found: dict[str, Any] = {"type": describe_column(code).to_json()}
    if code.dtype == "category":
        # So that other pandas and other objects than these are the same type.
        found["categories_of"] = str(code.dtype.categories.dtype)
    if code.values is not None:
        values = _values_to_json(code)
        if values is None:
            return None
        found["values"] = values
    return found


def _values_to_json(code: ColumnCode) -> list[Any] | None:
    import pandas as pd

    kind = kind_of_type(str(code.dtype))
    if kind == "category":
        return [int(each) for each in pd.Categorical(code.values).codes]
    if kind == "time":
        return [int(each) for each in pd.Index(code.values).asi8]
    found: list[Any] = []
    for value in code.values:
        if value is None or value is pd.NA:
            found.append(None)
        elif isinstance(value, float) and np.isnan(value):
            found.append(_NAN)
        elif isinstance(value, str | bool | int | float):
            found.append(value)
        elif isinstance(value, np.generic):
            found.append(value.item())
        else:
            return None
    if str(code.dtype) == "object" and any(value is pd.NA for value in code.values):
        return None  # beside None, which it is not
    return found


def _column_from_json(found: Mapping[str, Any]) -> ColumnCode:
    import pandas as pd

    held = ColumnType.from_json(found["type"])
    dtype: Any = held.dtype
    if held.kind == "category":
        categories = pd.Index(held.categories, dtype=found["categories_of"])
        dtype = pd.CategoricalDtype(categories, held.ordered)
    dtype = pd.api.types.pandas_dtype(dtype)
    if "values" not in found:
        return ColumnCode(dtype)
    values = found["values"]
    if held.kind == "category":
        return ColumnCode(dtype, pd.Categorical.from_codes(values, dtype=dtype))
    if held.kind == "time":
        return ColumnCode(dtype, _times_from_json(values, held.dtype))
    values = [np.nan if each == _NAN else each for each in values]
    if held.dtype == "object":
        objects = np.empty(len(values), object)
        objects[:] = values
        return ColumnCode(dtype, objects)
    return ColumnCode(dtype, pd.Index(values, dtype=dtype))


def _times_from_json(values: list[int], dtype: str) -> Any:
    import pandas as pd

    name, _, rest = dtype.partition("[")
    unit, _, zone = rest.rstrip("]").partition(", ")
    numbers = np.array(values, np.int64)
    if name == "timedelta64":
        return pd.TimedeltaIndex(numbers.view(f"m8[{unit}]"))
    times = pd.DatetimeIndex(numbers.view(f"M8[{unit}]"))
    return times.tz_localize("UTC").tz_convert(zone) if zone else times
