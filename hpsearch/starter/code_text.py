"""Texts, collections and paths as Python code, formatted as formatters leave it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

WIDTH = 88
"""Columns of a line."""


def quote(text: str) -> str:
    """A string as code, with the quotes that formatters use.

    >>> print(quote("it's"), quote('5" wide'), quote("a\\nb"))
    "it's" '5" wide' "a\\nb"
    """
    return repr(text) if '"' in text else '"' + repr("'" + text)[2:]


def format_collection(begin: str, items: Iterable[str], end: str, indent: str) -> str:
    """A list or the like as code, on one line if it fits, else with a line for each item.

    >>> format_collection("x = [", ["1", "2"], "]", "")
    'x = [1, 2]'
    """
    found = list(items)
    line = f"{begin}{', '.join(found)}{end}"
    if len(line) < WIDTH:
        return line
    return "\n".join([begin, *(f"{indent}    {item}," for item in found), f"{indent}{end}"])


def format_import(module: str, names: Sequence[str]) -> str:
    """An import of sorted names.

    >>> format_import("hpsearch", ["Study", "Task"])
    'from hpsearch import Study, Task'
    """
    line = f"from {module} import {', '.join(names)}"
    return (
        line
        if len(line) <= WIDTH
        else format_collection(f"{line[: line.index(names[0])]}(", names, ")", "")
    )


def format_path(path: Path, file: Path) -> str:
    """A path as code in `file`: from there, so that both can be moved together.

    One outside the current folder stays absolute.
    """
    if not path.is_relative_to(Path.cwd().resolve()):
        return f"Path({quote(path.as_posix())})"
    near = Path(os.path.relpath(path, file.parent)).as_posix()
    return f"Path(__file__).resolve().parent / {quote(near)}"
