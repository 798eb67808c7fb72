"""What a user may write as a count, a seed, a number or a name, and how what is refused is shown."""

import math
from typing import Any

import numpy as np

MOST_COUNTED = 10**9
"""Of whatever is counted: trials, folds, weights of a layer. No search comes near it."""

MOST_EPOCHS = 10**6
"""Of a trial, whose curves have a value an epoch."""

MOST_STORED = 2**63 - 1
"""What the store can hold."""

_LONGEST_NAME = 200  # bytes: with what is added to it, it must do as the name of a file


def check_seed(options: Any, seed: Any) -> None:
    """Refuse a seed that is no whole number of 63 bits."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MOST_STORED:
        raise ValueError(
            f"{type(options).__name__} needs a whole seed from 0 to 2**63 - 1, got seed={brief(seed)}"
        )


def why_no_number(value: Any) -> str:
    """What a real, finite number would have to be; empty where the value is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    try:
        return "" if math.isfinite(value) else "a finite number"
    except OverflowError:  # a whole number beyond all floats
        return "a number that a float holds"


def why_no_name(value: Any, *, of_files: bool = False) -> str:
    """What a name would have to be; empty where the value can be one.

    of_files: files and folders are named after it.

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


def to_builtin(value: Any) -> Any:
    """A number of NumPy's, or a member of an enum of texts or numbers, as Python's own value;
    anything else as it is.

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
    """The repr of whatever a user gave, in one line of at most 200 characters.

    >>> brief([1] * 1000)[-4:], brief(10**5000)
    ('1...', '<int>')
    """
    try:
        text = " ".join(repr(value).split()).encode("utf-8", "backslashreplace").decode()
    except Exception:  # of a class of the user's own, or a number too long to be written
        return f"<{type(value).__name__}>"
    return text if len(text) <= 200 else f"{text[:197]}..."
