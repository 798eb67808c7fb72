"""Frozen options as text and back: `KFold(folds=4)` in tables, `kfold:folds=4` on the command line."""

import ast
import dataclasses
import difflib
import hashlib
import inspect
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from hpsearch.errors import HpsearchError


def describe(options: Any, *, without: Collection[str] = ()) -> str:
    """The call that makes these options; what is None is left out.

    Defaults are shown: labels are kept in stores, where a later default must not change them.

    >>> @dataclasses.dataclass
    ... class KFold:
    ...     folds: int
    ...     stratify: bool | None = None
    >>> describe(KFold(4))
    'KFold(folds=4)'
    """
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    shown = [f"{k}={v!r}" for k, v in values.items() if k not in without and v is not None]
    return f"{type(options).__name__}({', '.join(shown)})"


@cache
def shortened(label: str, classes: tuple[type, ...]) -> str:
    """A label as people read it: without defaults, floats to four digits.

    >>> @dataclasses.dataclass
    ... class Holdout:
    ...     fraction: float = 0.2
    ...     shuffle: bool = True
    >>> shortened("Holdout(fraction=0.08333333333333333, shuffle=True)", (Holdout,))
    'Holdout(fraction=0.08333)'
    >>> shortened("of their own", ())
    'of their own'
    """
    try:
        call = ast.parse(label, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return label
        values = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):  # of a class whose labels are its own
        return label
    name = call.func.id
    cls = next((each for each in classes if each.__name__ == name), None)
    fields = dataclasses.fields(cls) if cls and dataclasses.is_dataclass(cls) else ()
    defaults = {field.name: field.default for field in fields}
    shown = [
        f"{key}={f'{value:.4g}' if isinstance(value, float) else repr(value)}"
        for key, value in values.items()
        if key not in defaults or defaults[key] != value
    ]
    return f"{name}({', '.join(shown)})"


def parse(text: str, kind: str, classes: Iterable[type], current: Any = None) -> Any:
    """Options from `name:key=value,...`; values are Python literals, anything else is a string.

    Keys may be left out as in a call: `kfold:4` is KFold(4). Where `current` is of the class
    named, what is not set stays as it is there.

    >>> @dataclasses.dataclass
    ... class KFold:
    ...     folds: int
    ...     repeats: int = 1
    >>> parse("kfold:folds=5", "evaluator", [KFold]).folds, parse("kfold:4", "", [KFold]).folds
    (5, 4)
    """
    known = {cls.__name__.lower(): cls for cls in classes}
    name, _, rest = text.partition(":")
    cls = known.get(re.sub(r"[\s_-]", "", name.lower()))
    if cls is None:
        raise HpsearchError(
            f"unknown {kind} {name!r}{did_you_mean(name.lower(), known)}; known: {', '.join(known)}"
        )
    fields = [field.name for field in dataclasses.fields(cls)]
    values: dict[str, Any] = {}
    for place, item in enumerate(filter(None, (part.strip() for part in rest.split(",")))):
        key, equals, value = item.partition("=")
        given = not equals and key not in fields  # a value alone, in its place
        if given and place < len(fields) and list(values) == fields[:place]:
            key, equals, value = fields[place], "=", item
        if key in fields and not equals:
            raise HpsearchError(f"{kind} {name}: {key} needs a value; say {name}:{key}=N")
        if key not in fields:
            raise HpsearchError(
                f"{kind} {name} takes key=value with keys {', '.join(fields)}; got {item!r}"
                f"{did_you_mean(key, fields)}"
            )
        values[key] = _literal(value)
    try:
        if isinstance(current, cls):
            return dataclasses.replace(current, **values)  # type: ignore[type-var]
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise HpsearchError(f"--{kind} {text}: {error}") from error


def at_least_one(options: Any, **counts: int | None) -> None:
    """Refuse a count that is no whole number above 0; None passes."""
    for name, value in counts.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise ValueError(f"{type(options).__name__} needs {name} >= 1, got {name}={value!r}")


def yes_or_no(options: Any, **switches: bool | None) -> None:
    """Refuse a switch that is neither True nor False; None passes."""
    for name, value in switches.items():
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{type(options).__name__} needs {name}=True or False, got {value!r}")


def identify(value: Any) -> str:
    """A text that is the same for the same settings in every process, and differs otherwise.

    Takes plain values and containers, functions, arrays, and whatever tells its settings by
    `get_params` (scikit-learn) or `get_config` (Keras).

    >>> identify({"a": (1, len)})
    "{'a': [1, builtins.len]}"
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {identify(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(identify(item) for item in value) + "]"
    if isinstance(value, np.ndarray):
        return f"array {hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()[:16]}"
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    for method, options in (("get_params", {"deep": False}), ("get_config", {})):
        settings = getattr(value, method, None)
        if callable(settings):
            return f"{type(value).__name__}({identify(settings(**options))})"
    return repr(value)


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
