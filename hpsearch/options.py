"""Frozen options as text and back: `KFold(folds=4)` in tables, `kfold:folds=4` on the command line."""

import ast
import dataclasses
import difflib
import hashlib
import inspect
import math
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from hpsearch.errors import HpsearchError

MOST_COUNTED = 10**9
"""Of whatever is counted: trials, folds, weights of a layer. No search comes near it."""

MOST_EPOCHS = 10**6
"""Of a trial, whose curves have a value an epoch."""

MOST_STORED = 2**63 - 1
"""What the store can hold."""

_LONGEST_NAME = 200  # bytes: with what is added to it, it must do as the name of a file


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
    call = _read_call(label)
    if call is None:
        return label
    name, values = call
    cls = next((each for each in classes if each.__name__ == name), None)
    fields = dataclasses.fields(cls) if cls and dataclasses.is_dataclass(cls) else ()
    defaults = {field.name: field.default for field in fields}
    shown = [
        f"{key}={f'{value:.4g}' if isinstance(value, float) else repr(value)}"
        for key, value in values.items()
        if key not in defaults or defaults[key] != value
    ]
    return f"{name}({', '.join(shown)})"


def _read_call(label: str) -> tuple[str, dict[str, Any]] | None:
    """The class and the values of a label that `describe` wrote; None for another."""
    try:
        call = ast.parse(label, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return None
        return call.func.id, {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError):  # of a class whose labels are its own
        return None


def option_text(
    label: str, classes: Iterable[type], *, not_in_labels: Collection[str] = ()
) -> str | None:
    """A label as the command line takes it, so that `parse` gives the same options; None for a
    label of a class that is not among these, which the command line cannot name.

    Labels leave out what is None, and what was added with a default since; the text says it, as a
    study may say otherwise by now.
    not_in_labels: what is left out whatever it is.

    >>> @dataclasses.dataclass
    ... class Grow:
    ...     epochs: int
    ...     grow: tuple[str, ...] | None = None
    ...     weak: str | None = None
    >>> option_text("Grow(epochs=3, grow=('units', 'layers'))", [Grow])
    "grow:epochs=3,grow=('units','layers'),weak=None"
    """
    call = _read_call(label)
    cls = next((each for each in classes if call and each.__name__ == call[0]), None)
    if call is None or cls is None:
        return None
    absent = {
        field.name: field.default
        for field in dataclasses.fields(cls)
        if field.default is not dataclasses.MISSING and field.name not in {*call[1], *not_in_labels}
    }
    values = {**call[1], **absent}
    items = (f"{name}={_literal_text(value)}" for name, value in values.items())
    return f"{cls.__name__.lower()}:{','.join(items)}".removesuffix(":")


def _literal_text(value: Any) -> str:
    """A value as Python writes it, without spaces between the items of a tuple."""
    if isinstance(value, tuple):
        items = [_literal_text(item) for item in value]
        return f"({','.join(items)}{',' if len(items) == 1 else ''})"
    return repr(value)


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
    for place, item in enumerate(filter(None, map(str.strip, _split(rest)))):
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


def at_least_one(options: Any, *, most_epochs: int = MOST_EPOCHS, **counts: int | None) -> None:
    """Refuse a count that is no whole number from 1 to what is sensible; None passes."""
    for name, value in counts.items():
        most = most_epochs if name in ("epochs", "max_epochs", "min_epochs") else MOST_COUNTED
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or not 1 <= value <= most):
            bound = f"<= {most:,}" if whole and value > 0 else ">= 1"
            raise ValueError(
                f"{type(options).__name__} needs {name} {bound}, got {name}={brief(value)}"
            )


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


def yes_or_no(options: Any, **switches: bool | None) -> None:
    """Refuse a switch that is neither True nor False; None passes."""
    for name, value in switches.items():
        if value is not None and not isinstance(value, bool):
            raise ValueError(
                f"{type(options).__name__} needs {name}=True or False, got {brief(value)}"
            )


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


def _split(text: str) -> list[str]:
    """The parts between commas, but for commas in brackets or quotes.

    >>> _split("a=(1,2),b='x,y',c")
    ['a=(1,2)', "b='x,y'", 'c']
    """
    parts, depth, quote, before = [""], 0, "", "="
    for sign in text:
        if quote:
            # An escaped quote does not end the string.
            quote = "" if sign == quote and before != "\\" else quote
            before = "" if before == sign == "\\" else sign
        else:
            # A quote within a word is one of its letters.
            quote = sign if sign in "'\"" and before in "=,([{ " else ""
            depth += (sign in "([{") - (sign in ")]}")
            before = sign
        if sign == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
