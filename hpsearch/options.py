"""Frozen options as text and back: `KFold(folds=4)` in tables, `kfold:folds=4` on the command line."""

import ast
import dataclasses
import difflib
from collections.abc import Collection, Iterable
from typing import Any

from hpsearch.errors import HpsearchError


def describe(options: Any, *, without: Collection[str] = ()) -> str:
    """The call that makes these options, without the fields that are at their default.

    >>> @dataclasses.dataclass
    ... class KFold:
    ...     folds: int
    ...     repeats: int = 1
    >>> describe(KFold(4))
    'KFold(folds=4)'
    """
    shown = [
        f"{field.name}={getattr(options, field.name)!r}"
        for field in dataclasses.fields(options)
        if field.name not in without and getattr(options, field.name) != field.default
    ]
    return f"{type(options).__name__}({', '.join(shown)})"


def parse(text: str, kind: str, classes: Iterable[type]) -> Any:
    """Options from `name:key=value,...`; values are Python literals, anything else is a string.

    >>> @dataclasses.dataclass
    ... class KFold:
    ...     folds: int
    ...     repeats: int = 1
    >>> parse("kfold:folds=5", "evaluator", [KFold]).folds
    5
    """
    known = {cls.__name__.lower(): cls for cls in classes}
    name, _, rest = text.partition(":")
    cls = known.get(name.strip().lower())
    if cls is None:
        raise HpsearchError(
            f"unknown {kind} {name!r}{did_you_mean(name.lower(), known)}; known: {', '.join(known)}"
        )
    fields = [field.name for field in dataclasses.fields(cls)]
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = item.partition("=")
        if key not in fields or not equals:
            raise HpsearchError(
                f"{kind} {name} takes key=value with keys {', '.join(fields)}; got {item!r}"
                f"{did_you_mean(key, fields)}"
            )
        values[key] = _literal(value)
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise HpsearchError(f"--{kind} {text}: {error}") from error


def at_least_one(options: Any, **counts: int | None) -> None:
    """Refuse a count that is no whole number above 0; None passes."""
    for name, value in counts.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise ValueError(f"{type(options).__name__} needs {name} >= 1, got {name}={value!r}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint in brackets to the nearest known name, or nothing.

    >>> did_you_mean("droput", ["dropout", "l2"])
    " (did you mean 'dropout'?)"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
