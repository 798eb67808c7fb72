"""Which counts, seeds, numbers and names a user may write, and how messages show wrong ones."""

import math
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

MOST_COUNTED = 10**9
"""The most of anything that is counted: trials, folds, units. No search comes near it."""

MOST_EPOCHS = 10**6
"""The most epochs of a trial; its curves have a value for each epoch."""

MOST_STORED = 2**63 - 1
"""The largest whole number that the store can hold."""

_LONGEST_NAME = 200  # bytes: with an addition, it must still be a possible name of a file


def check_seed(options: Any, seed: Any) -> None:
    """Raise ValueError for a seed that is no whole number of 63 bits."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MOST_STORED:
        raise ValueError(
            f"{type(options).__name__} needs a whole seed from 0 to 2**63 - 1, "
            f"got seed={brief(seed)}"
        )


def why_no_number(value: Any) -> str:
    """What the value should be instead; empty where it is a finite real number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    try:
        return "" if math.isfinite(value) else "a finite number"
    except OverflowError:  # a whole number beyond all floats
        return "a number that a float holds"


def name_of_study(text: str) -> str:
    """The name of a study that a user names by it, or by its file.

    >>> name_of_study("studies/digits.py"), name_of_study("digits")
    ('digits', 'digits')
    """
    return Path(text).stem if text.endswith(".py") else text


def why_no_name(value: Any, *, of_files: bool = False) -> str:
    """What the value should be instead; empty where it can be a name.

    Args:
        of_files: whether it must also be a possible name of a file.

    >>> why_no_name("a\\nb"), why_no_name("a/b"), why_no_name("a/b", of_files=True)
    ('a text of printable characters', '', 'a text without / and \\\\')
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        return "a text of printable characters"
    if len(value.encode()) > _LONGEST_NAME:
        return f"a text of at most {_LONGEST_NAME} bytes"
    if of_files and ("/" in value or "\\" in value):
        return "a text without / and \\"
    return "another name" if of_files and value in (".", "..") else ""


def can_be_written(text: str) -> bool:
    r"""Whether a text can be written to files, as UTF-8: lone surrogates cannot.

    They come from bytes that were read in another encoding, with errors="surrogateescape".

    >>> can_be_written("Größe"), can_be_written("Gr\udcf6\udcdfe")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def show_path(path: str | PathLike[str]) -> str:
    """A path in one line: its repr where it has a newline, or what else is not to be printed.

    >>> show_path("rows/1.png"), show_path("a\\nb")
    ('rows/1.png', "'a\\\\nb'")
    """
    text = fspath(path)
    return text if text.isprintable() else repr(text)


def to_builtin(value: Any) -> Any:
    """A NumPy number, or a member of an enum of texts or numbers, as a plain Python value.

    Anything else is returned unchanged.

    >>> from http import HTTPStatus
    >>> to_builtin(np.float32(0.5)), to_builtin(HTTPStatus.OK), to_builtin(True)
    (0.5, 200, True)
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str):
        return str.__str__(value)  # str() would call the subclass's own
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else value


def brief(value: Any) -> str:
    """The repr of any value, in one line of at most 200 characters.

    >>> brief([1] * 1000)[-4:], brief(10**5000)
    ('1...', '<int>')
    """
    try:
        text = " ".join(repr(value).split()).encode("utf-8", "backslashreplace").decode()
    except Exception:  # a repr of the user's own, or a number with too many digits
        return f"<{type(value).__name__}>"
    return text if len(text) <= 200 else f"{text[:197]}..."
