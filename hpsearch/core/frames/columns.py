"""The columns of a frame that `Data` takes: checked, and as numbers."""

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.arrays import to_number_array
from hpsearch.core.errors import DataError
from hpsearch.core.frames.rows import ColumnCode, FrameCode, encode_frame, is_exact
from hpsearch.core.frames.types import kind_of_type
from hpsearch.core.rules import brief, can_be_written

_WAYS_OUT = {
    "Sparse": "use frame.sparse.to_dense()",
    "complex": "split it into real and imaginary parts",
    "float128": "no network computes so precisely: use astype('float64')",
    "interval": "give intervals names: astype(str)",
    "period": "turn it into times: .dt.to_timestamp()",
    "[pyarrow]": "use frame.convert_dtypes(dtype_backend='numpy_nullable')",
}


def encode_columns(name: str, frame: Any) -> tuple[Array, FrameCode | None]:
    """A frame as an array of numbers, and how to make the frame of it again.

    A frame of numbers alone is the array that NumPy makes of it. Where such a frame has numbers for
    names, as those that pandas gives, it is nothing but an array, and there is no code.

    Args:
        name: what users call it, as "x".

    Raises DataError for names that are no texts or not unique, and for cells that cannot be kept.
    """
    _check_names(name, frame.columns)
    kinds = [_check_column(name, frame, place) for place in range(frame.shape[1])]
    frame = frame.copy(deep=False)
    boxed = [place for place, dtype in enumerate(frame.dtypes) if str(dtype) == "object"]
    if {*kinds} == {"number"}:
        return _join_numbers(name, frame, boxed)
    if not isinstance(frame.columns[0], str):
        raise _name_is_no_text(name, frame.columns)
    for place in boxed:
        if kinds[place] == "number":
            called = f"column {brief(frame.columns[place])} of {name}"
            frame.isetitem(place, to_number_array(called, frame.iloc[:, place]))
    return encode_frame(frame)


def name_coded_column(code: FrameCode) -> str:
    """A column that is not of numbers, and its type, for messages."""
    place = next(place for place, each in enumerate(code.codes) if each.values is not None)
    return f"column {brief(code.columns[place])} ({code.codes[place].dtype})"


def _join_numbers(name: str, frame: Any, boxed: list[int]) -> tuple[Array, FrameCode | None]:
    """`encode_columns` of numbers alone."""
    dtypes = [np.dtype(np.float64) if n in boxed else dtype for n, dtype in enumerate(frame.dtypes)]
    given = frame.copy(deep=False)
    for place, dtype in enumerate(dtypes):
        if not isinstance(dtype, np.dtype) and frame.iloc[:, place].isna().any():  # NA
            numbers = frame.iloc[:, place].to_numpy(np.float64, na_value=np.nan)
            frame.isetitem(place, numbers)
    array = to_number_array(name, frame)
    if array.dtype.kind == "f":
        _check_exact(name, given)
    if not isinstance(frame.columns[0], str):
        return array, None
    return array, FrameCode(frame.columns, tuple(map(ColumnCode, dtypes)))


def _check_exact(name: str, frame: Any) -> None:
    """Raise DataError for whole numbers that float64 rounds, as beside columns of other types."""
    for place, dtype in enumerate(frame.dtypes):
        if "int" in str(dtype).lower() and not is_exact(frame.iloc[:, place].dropna().to_numpy()):
            raise DataError(
                f"column {brief(frame.columns[place])} of {name} holds whole numbers beyond 2**53, "
                "which float64 cannot hold beside columns of other types; drop it, or use "
                "astype('float64')"
            )


def _check_names(name: str, columns: Any) -> None:
    """Raise DataError where the names are not all texts that differ, or all numbers."""
    if columns.nlevels > 1:
        raise DataError(
            f"{name} has columns with names of {columns.nlevels} levels; give each one name: "
            "frame.columns = ['_'.join(names) for names in frame.columns]"
        )
    if len(columns) == 0:
        raise DataError(f"{name} has no columns")
    texts = [each for each in columns if isinstance(each, str)]
    if texts and len(texts) < len(columns):
        raise _name_is_no_text(name, columns)
    for each in texts:
        if not can_be_written(each):
            raise DataError(f"columns of {name} need names without surrogates, got {brief(each)}")
    if not columns.is_unique:
        twice = columns[columns.duplicated()][0]
        raise DataError(f"two columns of {name} are called {brief(twice)}; rename or drop one")


def _name_is_no_text(name: str, columns: Any) -> DataError:
    odd = next(each for each in columns.tolist() if not isinstance(each, str))
    return DataError(
        f"columns of {name} need texts for names, got {brief(odd)}; use frame.rename(columns=str)"
    )


def _check_column(name: str, frame: Any, place: int) -> str:
    """Whether a column holds numbers ("number"), or what else, if that is allowed."""
    column, called = frame.iloc[:, place], f"column {brief(frame.columns[place])} of {name}"
    kind = kind_of_type(str(column.dtype))
    if kind is None:
        dtype = str(column.dtype)
        way = next((way for part, way in _WAYS_OUT.items() if part in dtype), "use astype(str)")
        raise DataError(f"{called} is of the type {dtype}, which no model can be kept with; {way}")
    if str(column.dtype) == "object":
        return _check_objects(called, column.to_numpy())
    if kind == "category":
        _check_categories(called, column.dtype)
    return "number" if kind == "bool" else kind


def _check_objects(called: str, cells: Array) -> str:
    """`_check_column` of Python objects."""
    import pandas as pd

    if pd.api.types.infer_dtype(cells, skipna=True) == "string":
        return "text"
    numbers = {place for place, cell in enumerate(cells) if _is_number(cell)}
    known = numbers | {place for place, cell in enumerate(cells) if _is_missing(cell)}
    rest = [place for place in range(len(cells)) if place not in known]
    if not rest:
        return "number"
    odd = cells[rest[0]]
    if isinstance(odd, str) and numbers:
        raise DataError(
            f"{called} mixes text and numbers, as {brief(odd)} and {brief(cells[min(numbers)])}; "
            "make all of it text: astype(str)"
        )
    other = next((place for place in rest if not isinstance(cells[place], str)), rest[0])
    raise DataError(
        f"{called} holds {brief(cells[other])} in row {other}, a {type(cells[other]).__name__}; a "
        "cell is a number, a text, a category, or a time as pd.to_datetime makes it"
    )


def _is_number(cell: Any) -> bool:
    return isinstance(cell, Real | Decimal | np.number | np.bool_) and cell == cell


def _is_missing(cell: Any) -> bool:
    import pandas as pd

    return pd.api.types.is_scalar(cell) and bool(pd.isna(cell))


def _check_categories(called: str, dtype: Any) -> None:
    kinds = {type(each) for each in dtype.categories.tolist()}
    if not kinds <= {str} and not kinds <= {int, float} and kinds != {bool}:
        odd = next(each for each in dtype.categories if not isinstance(each, str))
        raise DataError(
            f"{called} has the category {brief(odd)}, a {type(odd).__name__}; categories are texts or "
            "numbers: astype(str).astype('category')"
        )
    for each in dtype.categories.tolist() if kinds == {str} else []:
        if not can_be_written(each):
            raise DataError(
                f"{called} has the category {brief(each)}, which no file can hold; read it in its own "
                "encoding, or rename the category"
            )
