"""Preprocessing that a task makes anew for each point, by a function of some parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hpsearch.core.errors import BuildError, DataError
from hpsearch.core.option_text import settings_text
from hpsearch.core.rules import brief
from hpsearch.core.space import Params

MakeTransformer = Callable[..., Any]
"""`make(**some of the point's parameters) -> scikit-learn transformer, or a dict of them by input`"""

PREPROCESS, PREPROCESS_Y = (
    "preprocess",
    "preprocess_y",
)  # the options of `Task` that may be searched


def is_transformer(value: Any) -> bool:
    """Whether a value is used like one of scikit-learn's transformers."""
    return not isinstance(value, type) and callable(getattr(value, "transform", None))


def is_searched(preprocess: Any) -> bool:
    """Whether a task's preprocessing is a function of parameters."""
    return (
        callable(preprocess) and not isinstance(preprocess, type) and not is_transformer(preprocess)
    )


def parameter_names(make: MakeTransformer, option: str = PREPROCESS) -> tuple[str, ...]:
    """The names of the parameters that the function takes.

    Args:
        option: of the task that it stands in, for messages.

    Raises DataError where it does not name them.
    """
    found = list(inspect.signature(make).parameters.values())
    for each in found:
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise DataError(
                f"{option}={settings_text(make)} must name the parameters of the space that it "
                f"takes, got {each}; write them out"
            )
    return tuple(each.name for each in found)


def needed_names(make: MakeTransformer) -> tuple[str, ...]:
    """The names without a default: the space must have them."""
    found = inspect.signature(make).parameters
    return tuple(name for name in parameter_names(make) if found[name].default is inspect._empty)


def choose_params(make: MakeTransformer, params: Params) -> dict[str, Any]:
    """Those of a point's parameters that the function takes."""
    return {name: params[name] for name in parameter_names(make) if name in params}


def call_with_params(make: MakeTransformer, params: Params, option: str = PREPROCESS) -> Any:
    """What the function returns at a point. Raises BuildError where it lacks a parameter."""
    if missing := [name for name in needed_names(make) if name not in params]:
        raise BuildError(
            f"{option}={settings_text(make)} needs the parameter {missing[0]!r}, which the space "
            "has not; add it to the space, or give it a default"
        )
    return make(**choose_params(make, params))


def make_transformer(make: MakeTransformer, params: Params) -> Any:
    """The transformer, or the dict of them by input, at a point.

    Raises BuildError where the function lacks a parameter, or returns anything else.
    """
    made = call_with_params(make, params)
    each = list(made.values()) if isinstance(made, Mapping) else [made]
    for one in each:
        if not is_transformer(one) and not (one is None and isinstance(made, Mapping)):
            raise BuildError(
                f"preprocess={settings_text(make)} must return a scikit-learn transformer, as "
                f"StandardScaler(), or a dict of them by input, got {brief(one)}; to leave rows as "
                "they are, return FunctionTransformer()"
            )
    return made
