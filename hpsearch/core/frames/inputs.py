"""The inputs of a task that are frames: as arrays of numbers, each with its code."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.core.array_types import Array
from hpsearch.core.arrays import to_number_array
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.frames.columns import encode_columns, name_coded_column
from hpsearch.core.frames.rows import FrameCode, is_frame
from hpsearch.core.frames.types import FrameTypes, align_frame, describe_frame
from hpsearch.core.rules import brief

FrameCodes = Mapping[str, FrameCode]
"""By input; "x" where there is one."""


def encode_inputs(x: Any) -> tuple[Any, dict[str, FrameCode]]:
    """Frames as arrays, and their codes; all else as it is.

    Raises DataError as `encode_columns` does.
    """
    codes: dict[str, FrameCode] = {}

    def encode(name: str, called: str, part: Any) -> Any:
        if not is_frame(part):
            return part
        array, code = encode_columns(called, part)
        if code is not None:
            codes[name] = code
        return array

    if isinstance(x, Mapping):
        return {name: encode(name, f"x[{name!r}]", part) for name, part in x.items()}, codes
    return encode("x", "x", x), codes


def arrange_columns(columns: Sequence[str], x: Any, *others: Any) -> list[Any]:
    """The inputs and other parts of them, with the columns of frames named and ordered alike.

    Args:
        columns: names for those of a single x, which a frame then has instead of its own; empty:
            nothing changes.
        x: the inputs.
        others: x_test and the like.
    """
    if not columns or isinstance(x, Mapping):
        return [x, *others]
    if not is_frame(x):
        # Frames beside an array have their columns found by name.
        return [
            x,
            *(
                part[list(columns)]
                if is_frame(part) and sorted(map(str, part.columns)) == sorted(map(str, columns))
                else part
                for part in others
            ),
        ]
    if len(columns) != x.shape[1]:
        return [x, *others]
    names = dict(zip(x.columns, columns, strict=True))
    renamed = (
        part.rename(columns=names)
        if is_frame(part) and set(part.columns) == set(x.columns)
        else part
        for part in others
    )
    return [x.set_axis(list(columns), axis=1), *renamed]


def encode_parts(x: Any, x_val: Any) -> tuple[Any, Any, dict[str, FrameCode]]:
    """The rows to train on and those to validate on, frames as arrays of one code.

    Args:
        x: the inputs.
        x_val: the part to validate on; None where the user gives none.

    Raises DataError as `encode_inputs` does, and where the columns of x_val are others.
    """
    x, codes = encode_inputs(x)
    if x_val is None:
        return x, None, codes
    found: dict[str, FrameCode] = {}

    def encode(name: str, called: str, first: Any, second: Any) -> tuple[Any, Any]:
        if name not in codes:
            return first, _encode_array(called, second)
        code = codes[name]
        frame = _stack(code.decode(first), _align_exactly(called, second, code))
        array, both = encode_columns(called, frame)
        assert both is not None  # its columns have names
        found[name] = both
        return array[: len(first)], array[len(first) :]

    if not isinstance(x, Mapping) or not isinstance(x_val, Mapping):
        return *encode("x", "x_val", x, x_val), found
    pairs = {
        name: encode(name, f"x_val[{name!r}]", x[name], part) if name in x else (None, part)
        for name, part in x_val.items()
    }
    joined = {name: pairs[name][0] if name in pairs else part for name, part in x.items()}
    return joined, {name: part for name, (_, part) in pairs.items()}, {**codes, **found}


def _stack(first: Any, second: Any) -> Any:
    """Two frames of the same columns, one below the other; categories are those of both."""
    import pandas as pd

    columns = {}
    for name in first.columns:
        parts = [first[name], second[name]]
        if isinstance(first[name].dtype, pd.CategoricalDtype):
            try:
                columns[name] = pd.Series(pd.api.types.union_categoricals(parts))
            except TypeError as error:  # ordered, and not the same
                raise DataError(
                    f"column {brief(name)} of x and x_val: {first_line(error)}"
                ) from error
        else:
            columns[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns)


def encode_test_inputs(x: Any, codes: FrameCodes) -> tuple[Any, dict[str, FrameCode]]:
    """The inputs of the test as arrays, and their codes.

    Args:
        codes: of the searched rows, whose columns are found by name.

    Raises DataError where columns are others.
    """
    found: dict[str, FrameCode] = {}

    def encode(name: str, called: str, part: Any) -> Any:
        if name not in codes:
            return _encode_array(called, part)
        array, code = encode_columns(called, _align_exactly(called, part, codes[name]))
        assert code is not None  # its columns have names
        found[name] = code
        return array

    if isinstance(x, Mapping):
        return {name: encode(name, f"x_test[{name!r}]", part) for name, part in x.items()}, found
    return encode("x", "x_test", x), found


def make_frame(called: str, rows: Any, types: FrameTypes) -> Any:
    """Rows as a frame of these types: a frame whose columns are found by name, or an array.

    Raises DataError where an array has another number of columns, or they are not all numbers.
    """
    import pandas as pd

    if not is_frame(rows):
        odd = [name for name, each in types.items() if each.kind not in ("number", "bool")]
        if odd:
            raise DataError(
                f"{called} must be a frame, because {brief(odd[0])} is no column of numbers; it needs "
                f"the columns {', '.join(types)}"
            )
        array = to_number_array(called, rows)
        if array.shape[1:] != (len(types),):
            raise DataError(
                f"{called} needs rows of the same shape as x, got {array.shape[1:]} and "
                f"{(len(types),)}"
            )
        rows = pd.DataFrame(array, columns=list(types))
    return align_frame(called, rows, types)


def _align_exactly(called: str, rows: Any, code: FrameCode) -> Any:
    """Rows as a frame of the same columns, and no others."""
    types = describe_frame(code)
    extra = [name for name in rows.columns if name not in types] if is_frame(rows) else []
    if extra:
        raise DataError(
            f"{called} has the column {brief(extra[0])}, which x has not; give both the same columns"
        )
    return make_frame(called, rows, types)


def _encode_array(called: str, part: Any) -> Array:
    """What goes with an array of the searched rows."""
    if not is_frame(part):
        return part  # type: ignore[no-any-return]  # checked by Data
    array, code = encode_columns(called, part)
    if code is not None and not code.holds_only_numbers:
        raise DataError(
            f"{called} has the {name_coded_column(code)}, and x is no frame; give both as frames"
        )
    return array
