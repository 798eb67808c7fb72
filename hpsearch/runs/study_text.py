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

from hpsearch.core.errors import StudyError
from hpsearch.core.option_text import settings_text
from hpsearch.runs.loaded_text import was_edited
from hpsearch.runs.sent_study import functions_of
from hpsearch.runs.study import StudyDefinition

_PLAIN = bool | int | float | str | None


def find_file(study: StudyDefinition) -> Path | None:
    """The file that binds `study` to this very object, so that running the file makes it again.

    None where there is none: the study was made in a notebook or by a function, or only where the
    file runs as a script.
    """
    module = _find_module(study)
    return None if module is None else Path(module.__file__ or "").resolve()


def refuse_edited(study: StudyDefinition) -> None:
    """Raise StudyError where the study's file was edited after this process imported it.

    Workers load the file, so they would train another study than the one whose space is searched.
    """
    module = _find_module(study)
    if module is not None and was_edited(module):
        raise StudyError(
            f"{module.__file__} was edited after this process imported it, and workers would load "
            "the new text; restart the kernel or the script, or importlib.reload the module"
        )


def _find_module(study: StudyDefinition) -> ModuleType | None:
    """The module that binds `study` to this object: the one that makes it, before one that imports it."""
    importing = None
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get("study") is study and isinstance(module, ModuleType):
            file = Path(names.get("__file__") or "")
            if file.suffix == ".py" and file.is_file():
                body = _parse(file)
                made = [each for each in body if not isinstance(each, ast.ImportFrom)]
                if _binds_study(made):
                    return module
                if importing is None and _binds_study(body):
                    importing = module
    return importing


def _binds_study(body: "list[ast.stmt]") -> bool:
    """Whether importing a module binds `study`, not only running it as a script."""
    return any(name.id == "study" for name in _names_bound(body))


def binds_study_once(file: Path) -> bool:
    """Whether importing a file binds `study` in one place, and not in a loop."""
    body = _parse(file)
    loops = (ast.For, ast.While)
    looped = [name for each in body if isinstance(each, loops) for name in _names_bound([each])]
    places = [name for name in _names_bound(body) if name.id == "study"]
    return len(places) == 1 and all(name.id != "study" for name in looped)


def _parse(file: Path) -> list[ast.stmt]:
    try:
        return ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []


def _names_bound(body: "list[ast.stmt]") -> Iterator[ast.Name]:
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
        elif _is_plain(value):
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


def _is_plain(value: Any) -> bool:
    """Whether its repr says all of it, in every process."""
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    return isinstance(value, _PLAIN)


def _is_of_no_file(value: Any) -> bool:
    return getattr(value, "__module__", None) == "__main__"


def _held_text(function: Any) -> str:
    if isinstance(function, functools.partial | FunctionType):
        return settings_text(function)
    return type(function).__qualname__
