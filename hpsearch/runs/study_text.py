"""Where a study was written: its file, or the text of the functions of one that has none."""

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from hpsearch.core.option_text import settings_text
from hpsearch.runs.sent_study import functions_of
from hpsearch.runs.study import StudyDefinition

_PLAIN = bool | int | float | str | None


def find_file(study: StudyDefinition) -> Path | None:
    """The file that binds `study` to this very object, so that running the file makes it again.

    None where there is none: the study was made in a notebook or by a function, or only where the
    file runs as a script.
    """
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get("study") is study and isinstance(module, ModuleType):
            file = Path(names.get("__file__") or "")
            if file.suffix == ".py" and file.is_file() and _binds_study(file):
                return file.resolve()
    return None


def _binds_study(file: Path) -> bool:
    """Whether importing a file binds `study`, not only running it as a script."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return any(isinstance(n, ast.Name) and n.id == "study" for n in _names_bound(tree.body))


def _names_bound(body: "list[ast.stmt]") -> Iterator[ast.AST]:
    """What importing a module binds, without the body of its `if __name__ == "__main__"`."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test):
            yield from _names_bound(statement.orelse)
        elif isinstance(statement, ast.ImportFrom):
            yield from (ast.Name(a.asname or a.name, ast.Store()) for a in statement.names)
        else:
            yield from (
                node
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )


def read_source(study: StudyDefinition, file: Path | None) -> str:
    """The study's text: that of its file, else of its functions with what they use.

    It is equal for equal studies in every process, as far as the functions' texts can be had.
    """
    if file is not None:
        return file.read_text(encoding="utf-8", errors="replace")
    seen: dict[str, None] = {}
    for function in functions_of(study):
        _collect(function, seen)
    # Of functools.partial and of functions that others made, also what those were given.
    parts = {"build": study.build, "train": study.train, "callbacks": study.callbacks}
    held = [f"{name} = {_held_text(part)}" for name, part in parts.items() if part is not None]
    return "\n\n".join(["\n".join(held), *seen]).strip() + "\n"


def _collect(function: Callable[..., Any], seen: dict[str, None]) -> None:
    """Add a function's text, and that of functions of the user's own that it calls."""
    text = _text_of(function)
    if text is None or text in seen:
        return
    seen[text] = None
    for name, value in _used(function):
        if isinstance(value, FunctionType | type) and _is_of_no_file(value):
            _collect(value, seen)
        elif isinstance(value, _PLAIN):
            seen[f"{name} = {value!r}"] = None


def _text_of(function: Any) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TypeError):  # typed into a plain interactive session; or a callable object
        return None


def _used(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function uses of the names around it."""
    if not isinstance(function, FunctionType):
        return
    try:
        found = inspect.getclosurevars(function)
    except ValueError:  # a name that is not bound yet
        return
    yield from {**found.globals, **found.nonlocals}.items()


def _is_of_no_file(value: Any) -> bool:
    return getattr(value, "__module__", None) == "__main__"


def _held_text(function: Any) -> str:
    if isinstance(function, functools.partial | FunctionType):
        return settings_text(function)
    return type(function).__qualname__
