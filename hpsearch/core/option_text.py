"""Options as text and back: `KFold(folds=4)` in tables, `kfold:folds=4` on the command line."""

import ast
import dataclasses
import difflib
import functools
import hashlib
import inspect
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from hpsearch.core.errors import HpsearchError
from hpsearch.core.preparing_layers import is_layer
from hpsearch.core.rules import MOST_COUNTED, MOST_EPOCHS, MOST_STORED, brief


def describe_options(options: Any, *, without: Collection[str] = ()) -> str:
    """The call that makes these options, without those that are None.

    Defaults are written out: stores keep these labels, and a later default must not change them.

    >>> @dataclasses.dataclass
    ... class KFold:
    ...     folds: int
    ...     stratify: bool | None = None
    >>> describe_options(KFold(4))
    'KFold(folds=4)'
    """
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    shown = [f"{k}={v!r}" for k, v in values.items() if k not in without and v is not None]
    return f"{type(options).__name__}({', '.join(shown)})"


@cache
def drop_defaults(label: str, classes: tuple[type, ...]) -> str:
    """A label for people to read: without defaults, floats to four digits.

    >>> @dataclasses.dataclass
    ... class Holdout:
    ...     fraction: float = 0.2
    ...     shuffle: bool = True
    >>> drop_defaults("Holdout(fraction=0.08333333333333333, shuffle=True)", (Holdout,))
    'Holdout(fraction=0.08333)'
    >>> drop_defaults("of their own", ())
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
    """The class and the values of a label by `describe_options`; None for any other label."""
    try:
        call = ast.parse(label, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return None
        return call.func.id, {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError):  # the label of a class that writes its own
        return None


def option_text(
    label: str, classes: Iterable[type], *, not_in_labels: Collection[str] = ()
) -> str | None:
    """A label as the command line takes it: `parse_options` gives the same options.

    None for a label of any other class, which the command line cannot name. A label lacks the
    options that are None, and those added in later versions. The text has them all, because the
    study file may have other values for them by now.

    Args:
        not_in_labels: options that labels lack whatever their value, and so does the text.

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


@dataclasses.dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a class of options, with values that it stands for.

    Args:
        class_name: the class.
        fixed: by name, the options that it sets.
        about: what it is, in a few words.
    """

    class_name: str
    fixed: Mapping[str, Any]
    about: str


def parse_options(
    text: str,
    kind: str,
    classes: Iterable[type],
    current: Any = None,
    *,
    aliases: Mapping[str, Alias] = MappingProxyType({}),
    absent: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Make options from `name:key=value,...`.

    Values are Python literals; anything else is a string. Keys may be left out as in a call:
    `kfold:4` is KFold(4).

    Args:
        kind: what the options are, for messages: "searcher" or "evaluator".
        current: options whose values stay where the text sets none, if they are of the same class.
        aliases: other names, in small letters.
        absent: names that are refused in words of their own.

    >>> @dataclasses.dataclass
    ... class KFold:
    ...     folds: int
    ...     repeats: int = 1
    >>> parse_options("kfold:folds=5,repeats=2", "evaluator", [KFold])
    KFold(folds=5, repeats=2)
    >>> parse_options("kfold:4", "evaluator", [KFold]).folds
    4
    >>> five = Alias("KFold", {"folds": 5}, "five folds")
    >>> parse_options("cv5:repeats=2", "evaluator", [KFold], aliases={"cv5": five})
    KFold(folds=5, repeats=2)
    """
    known = {cls.__name__.lower(): cls for cls in classes}
    name, _, rest = text.partition(":")
    plain = re.sub(r"[\s_-]", "", name.lower())
    if plain in absent:
        raise HpsearchError(absent[plain])
    alias = aliases.get(plain)
    cls = known.get(plain if alias is None else alias.class_name.lower())
    if cls is None:
        names = [*known, *aliases]
        raise HpsearchError(
            f"unknown {kind} {name!r}{did_you_mean(plain, names)}; known: {', '.join(names)}"
        )
    fixed = {} if alias is None else dict(alias.fixed)
    fields = [field.name for field in dataclasses.fields(cls)]
    values: dict[str, Any] = {}
    for place, item in enumerate(filter(None, map(str.strip, _split_at_commas(rest)))):
        key, equals, value = item.partition("=")
        positional = not equals and key not in fields
        if positional and place < len(fields) and list(values) == fields[:place]:
            key, equals, value = fields[place], "=", item
        if key in fields and not equals:
            raise HpsearchError(f"{kind} {name}: {key} needs a value; say {name}:{key}=N")
        if key not in fields:
            raise HpsearchError(
                f"{kind} {name} takes key=value with keys {', '.join(fields)}; got {item!r}"
                f"{did_you_mean(key, fields)}"
            )
        values[key] = _parse_literal(value)
        if key in fixed and values[key] != fixed[key]:
            raise HpsearchError(
                f"{kind} {name} is {cls.__name__.lower()}:{key}={fixed[key]}; drop {item}, or say "
                f"{cls.__name__.lower()}:{item}"
            )
    values |= fixed
    try:
        if isinstance(current, cls):
            return dataclasses.replace(current, **values)  # type: ignore[type-var]
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise HpsearchError(f"--{kind} {text}: {error}") from error


def check_counts(options: Any, *, most_epochs: int = MOST_EPOCHS, **counts: int | None) -> None:
    """Raise ValueError for a count that is no whole number from 1 to a sensible maximum.

    None is allowed where it is the option's default.
    """
    limits = dict.fromkeys(("epochs", "max_epochs", "min_epochs"), most_epochs)
    limits["trial"] = MOST_STORED  # a number that names one, and counts none
    for name, value in counts.items():
        most = limits.get(name, MOST_COUNTED)
        number = 0 if isinstance(value, bool) or not isinstance(value, int) else value
        if not 1 <= number <= most and not _is_left_out(options, name, value):
            bound = f"<= {most:,}" if number > 0 else ">= 1"
            raise ValueError(
                f"{type(options).__name__} needs {name} {bound}, got {name}={brief(value)}"
            )


def check_switches(options: Any, **switches: bool | None) -> None:
    """Raise ValueError for a switch that is neither True nor False.

    None is allowed where it is the option's default.
    """
    for name, value in switches.items():
        if not isinstance(value, bool) and not _is_left_out(options, name, value):
            raise ValueError(
                f"{type(options).__name__} needs {name}=True or False, got {brief(value)}"
            )


def _is_left_out(options: Any, name: str, value: Any) -> bool:
    fields = getattr(type(options), "__dataclass_fields__", {})
    return value is None and (name not in fields or fields[name].default is None)


_PLAIN = bool | int | float | str


def settings_text(value: Any) -> str:
    """A text that is equal for equal settings, in every process, and differs for others.

    The value may be a plain value, a container, a function, an array, or any object with
    `get_params` (scikit-learn) or `get_config` (Keras).

    >>> settings_text({"a": (1, len)})
    "{'a': [1, builtins.len]}"
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {settings_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(settings_text(item) for item in value) + "]"
    if isinstance(value, set | frozenset):  # whose order is another in each process
        return "{" + ", ".join(sorted(settings_text(item) for item in value)) + "}"
    if isinstance(value, np.ndarray):
        return f"array {_digest_array(value)}"
    if isinstance(value, functools.partial):
        parts = [settings_text(part) for part in (value.func, value.args, value.keywords)]
        return f"partial({', '.join(parts)})"
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}{_closure_text(value)}"
    for method, options in (("get_params", {"deep": False}), ("get_config", {})):
        settings = getattr(value, method, None)
        if callable(settings):
            found = settings(**options)
            if method == "get_config" and not type(value).__module__.startswith("keras."):
                found = _own_settings(value, found)
            elif is_layer(value):  # in whose names Keras counts
                found = {name: each for name, each in found.items() if name != "name"}
            return f"{type(value).__name__}({settings_text(found)})"
    kind: Any = type(value)
    # Of an object that is called it would tell an address, another in each process.
    if callable(value) and kind.__repr__ is object.__repr__:
        return f"{kind.__module__}.{kind.__qualname__}({settings_text(_own_settings(value, {}))})"
    return repr(value)


def names_address(text: str) -> bool:
    """Whether a text of settings has an object's address, which is another in each process."""
    return re.search(r" at 0x[0-9a-fA-F]+", text) is not None


def _digest_array(values: "np.ndarray[Any, Any]") -> str:
    if values.dtype.hasobject:  # whose bytes are addresses
        data: Any = settings_text(values.tolist()).encode()
    elif values.dtype.kind in "mM":
        data = f"{values.dtype} {values.astype(np.int64).tolist()}".encode()
    else:
        data = np.ascontiguousarray(values).data
    return hashlib.sha256(data).hexdigest()[:16]


def _closure_text(function: Any) -> str:
    """What a function made by another remembers of it, as far as that is plain; mostly empty."""
    held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    held += getattr(function, "__defaults__", None) or ()
    plain = [value for value in held if isinstance(value, _PLAIN)]
    return f" with {settings_text(plain)}" if plain else ""


def _own_settings(value: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an object of the user's own class, whose get_config need not say all.

    Without the name, in which Keras counts objects.
    """
    own = {
        name: each
        for name, each in getattr(value, "__dict__", {}).items()
        if isinstance(each, _PLAIN) and not name.startswith("_")
    }
    return {name: each for name, each in {**own, **config}.items() if name != "name"}


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """A hint at the nearest known name, in brackets; empty where none is near, or it is no text.

    >>> did_you_mean("droput", ["dropout", "l2"])
    " (did you mean 'dropout'?)"
    """
    near = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) else ()
    return f" (did you mean {near[0]!r}?)" if near else ""


def _split_at_commas(text: str) -> list[str]:
    """Split a text at commas, except at those in brackets or quotes.

    >>> _split_at_commas("a=(1,2),b='x,y',c")
    ['a=(1,2)', "b='x,y'", 'c']
    """
    parts, depth, quote, before = [""], 0, "", "="
    for sign in text:
        if quote:
            # An escaped quote does not end the string.
            quote = "" if sign == quote and before != "\\" else quote
            before = "" if before == sign == "\\" else sign
        else:
            # A quote within a word is a letter of it.
            quote = sign if sign in "'\"" and before in "=,([{ " else ""
            depth += (sign in "([{") - (sign in ")]}")
            before = sign
        if sign == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _parse_literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def option_classes(package: ModuleType) -> list[type]:
    """The dataclasses that a package exports: its search methods, or its evaluators."""
    exported = [getattr(package, name) for name in package.__all__]
    return [
        thing for thing in exported if isinstance(thing, type) and dataclasses.is_dataclass(thing)
    ]
