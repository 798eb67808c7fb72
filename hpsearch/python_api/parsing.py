"""The arguments of a method, as the command line reads its options."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import click

from hpsearch.python_api.wording import errors_to_python
from hpsearch.runs.arguments import TYPES, parse_arguments
from hpsearch.selection.choice import SCALES

_TYPES = {**TYPES, "scale": click.Choice(SCALES)}


@errors_to_python()
def parse_call(method: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call that are options of the command line, checked and converted.

    Raises HpsearchError for a value that the command line refuses.
    """
    defaults = defaults_of(method)
    options = {name: value for name, value in given.items() if name in _TYPES}
    return parse_arguments(options, defaults, _TYPES)


def list_given(method: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that differ from their defaults."""
    defaults = defaults_of(method)
    return [name for name, value in given.items() if value != defaults.get(name, value)]


def defaults_of(method: Callable[..., Any]) -> dict[str, Any]:
    """The default of each argument."""
    return {name: each.default for name, each in inspect.signature(method).parameters.items()}
