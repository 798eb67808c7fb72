"""What a source of the user's says of itself, checked: whatever its code raises is told in one line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.errors import DataError, HpsearchError, TrialFailed, first_line
from hpsearch.core.rules import brief, why_no_name


@contextmanager
def tell_errors(what: str) -> Iterator[None]:
    """Tell as a DataError what a source raises, also SystemExit; but for Ctrl-C and our own errors.

    Args:
        what: failed, as "x cannot be read".
    """
    try:
        yield
    except (HpsearchError, TrialFailed, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise DataError(f"{what}: {first_line(error)}") from error


def targets_of(name: str, source: Any) -> Any:
    """y as the source knows it; None where it does not."""
    with tell_errors(f"{name} does not know its targets"):
        return source.targets


def classes_of(name: str, source: Any) -> tuple[str, ...]:
    """The names of its classes. Raises DataError unless they are texts that differ."""
    with tell_errors(f"{name} does not know its classes"):
        found = source.classes
    wrong = (
        [found]
        if isinstance(found, str) or not isinstance(found, Sequence)
        else [each for each in found if why_no_name(each)]
    )
    if wrong or len(set(found)) < len(found):
        raise DataError(
            f"{name}.classes is a list of names that differ, of printable characters, got "
            f"{brief(wrong[0] if wrong else found)}"
        )
    return tuple(found)


def describe_files(name: str, source: Any) -> Iterator[bytes]:
    """The size and the time of each of its files. Raises DataError where one is not there."""
    with tell_errors(f"{name} does not know its files"):
        found = source.files
    if isinstance(found, str | bytes) or not isinstance(found, Sequence):
        raise DataError(f"{name}.files is a list of paths, got {brief(found)}")
    for file in found:
        if not isinstance(file, str | PathLike):
            raise DataError(f"{name}.files is a list of paths, got {brief(file)} in it")
        with tell_errors(f"{name} cannot be read"):
            status = Path(file).stat()
        yield f"{status.st_size} {status.st_mtime_ns};".encode()


def describe_arrays(name: str, source: Any) -> Iterator[memoryview]:
    """The bytes of each of its arrays in memory."""
    with tell_errors(f"{name} does not know its arrays"):
        found = source.arrays
    if not isinstance(found, Sequence) or not all(_is_plain(array) for array in found):
        raise DataError(f"{name}.arrays is a list of arrays of numbers, got {brief(found)}")
    for array in found:
        yield np.ascontiguousarray(array).view(np.uint8).data


def _is_plain(array: Array) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
