"""By what `Data` is known again: its searched rows, its streams, and the targets of its test."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.core.arrays import (
    Array,
    Inputs,
    Targets,
    count_rows,
    inputs_by_name,
    is_one_hot,
    targets_by_name,
)
from hpsearch.core.fingerprint import digest_data
from hpsearch.core.frames.inputs import FrameCodes
from hpsearch.core.frames.types import describe_types
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.reading.reader import sample_numbers
from hpsearch.core.streamed import Streams

_VALIDATION_SAMPLE = 64  # of the rows of a source that are to validate on


def digest_searched_rows(
    x: Inputs,
    y: Targets,
    by_row: Mapping[str, Array | None],
    frames: FrameCodes,
    *,
    validation_rows: int,
    version: str | None,
) -> str:
    """A text by the names, types, shapes and bytes of rows; with a version, not by their bytes.

    Args:
        x, y: the rows and their targets.
        by_row: the arrays that they may have beside these, by name; None where they have not.
        frames: how inputs become frames again.
        validation_rows: how many of the last rows are to validate on.
        version: as of `Data`.
    """
    parts: dict[str, Any] = _name_arrays(x, y)
    parts |= {name: array for name, array in by_row.items() if array is not None}
    coded = {
        f"frame {name}": code
        for name, code in frames.items()
        if not code.holds_only_numbers  # one of numbers is known by its array alone
    }
    if validation_rows:
        parts["validation_rows"] = np.array([validation_rows])
    if version is not None:
        types = {name: describe_types(code) for name, code in coded.items()}
        return f"{version} {digest_data(parts, types, with_values=False)}"
    if validation_rows:
        # The sample of a source has few rows of a small part: this has as many of it alone.
        numbers = count_rows(y) - 1 - sample_numbers(validation_rows, _VALIDATION_SAMPLE)
        parts |= {
            f"x_val {name}": rows[numbers]
            for name, rows in inputs_by_name(x).items()
            if isinstance(rows, LazyRows)
        }
    return digest_data(parts, {name: repr(code) for name, code in coded.items()})


def digest_streams(x: Inputs, y: Targets, streams: Streams, version: str | None) -> str:
    """A text by the names of functions, and by names, types and shapes of a batch's x and y."""
    parts = _name_arrays(x, y)
    digest = digest_data({name: part[:0] for name, part in parts.items()}, streams=streams)
    return digest if version is None else f"{version} {digest}"


def digest_test_targets(y: Targets) -> str:
    """A text by the values of targets, whatever their type, whether numbers or one-hot."""
    parts = {}
    for name, array in targets_by_name(y).items():
        numbers = array.argmax(axis=1) if is_one_hot(array) else array.reshape(-1)
        parts[f"y {name}".rstrip()] = numbers.astype(np.float64)
    return digest_data(parts)


def _name_arrays(x: Inputs, y: Targets) -> dict[str, Any]:
    return {
        **{f"y {name}".rstrip(): array for name, array in targets_by_name(y).items()},
        **{f"x {name}": array for name, array in inputs_by_name(x).items()},
    }
