"""Preprocessing that a task makes anew for each point, by a function of some parameters."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from hpsearch.core.errors import BuildError, DataError, HpsearchError, TrialFailed, first_line
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.preparing_layers import is_preparing_layer, why_not_preparing
from hpsearch.core.rules import brief
from hpsearch.core.space import Params, Space

MakeTransformer = Callable[..., Any]
"""`make(**some of the point's parameters) -> scikit-learn transformer, or a dict of them by input`"""

PREPROCESS, PREPROCESS_Y = "preprocess", "preprocess_y"
"""The options of `Task` that may be functions of parameters."""


class PreprocessingFailed(BuildError):
    """The preprocessing of a point fails: its function, or what that made on the training rows.

    Args:
        message: the rule, the value and the way out.
        params: those of the point that preprocessing takes.
    """

    def __init__(self, message: str, params: Params | None = None) -> None:
        super().__init__(message)
        self.params = dict(params or {})


def is_transformer(value: Any) -> bool:
    """Whether a value is used like one of scikit-learn's transformers, or is a layer that may be."""
    if isinstance(value, type):
        return False
    return callable(getattr(value, "transform", None)) or is_preparing_layer(value)


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
    try:
        found = list(inspect.signature(make).parameters.values())
    except ValueError as error:  # of a function written in C
        raise DataError(
            f"{option}={brief(make)} does not show which parameters it takes; wrap it: "
            f"{option}=lambda components: ..."
        ) from error
    for each in found:
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise DataError(
                f"{option} must name the parameters of the space that it takes, got {each}; "
                f"write them out: def {option}(components): ..."
            )
    return tuple(each.name for each in found)


def needed_names(make: MakeTransformer) -> tuple[str, ...]:
    """The names without a default: the space must have them."""
    found = inspect.signature(make).parameters
    return tuple(name for name in parameter_names(make) if found[name].default is inspect._empty)


def check_parameters(
    make: MakeTransformer, space: Space, *, of_fit: Collection[str] = (), option: str = PREPROCESS
) -> None:
    """Raise BuildError where the function needs what the space has not, or not at every point.

    Args:
        make: the function.
        space: the study's.
        of_fit: names of parameters that go to the fit.
        option: of the task that it stands in, for messages.
    """
    for name in needed_names(make):
        if name not in space:
            raise BuildError(
                f"{option} needs the parameter {name!r}, which the space has not"
                f"{did_you_mean(name, space)}; add it to the space, or give it a default"
            )
        if space[name].when:
            raise BuildError(
                f"{option} needs the parameter {name!r}, which the space has only when="
                f"{brief(space[name].when)}; give it a default for other points"
            )
    refuse_parameters_of_fit(make, of_fit, option)


def refuse_parameters_of_fit(
    make: MakeTransformer, of_fit: Collection[str], option: str = PREPROCESS
) -> None:
    """Raise BuildError where the function takes a parameter that goes to the fit."""
    for name in parameter_names(make):
        if name in of_fit:
            raise BuildError(
                f"the parameter {name!r} goes to the fit, not to {option}; give {option}'s "
                "parameter another name"
            )


def choose_params(make: MakeTransformer, params: Params) -> dict[str, Any]:
    """Those of a point's parameters that the function takes."""
    return {name: params[name] for name in parameter_names(make) if name in params}


def call_with_params(make: MakeTransformer, params: Params, option: str = PREPROCESS) -> Any:
    """What the function returns at a point.

    Args:
        option: of the task that it stands in, for messages.

    Raises BuildError where it lacks a parameter, or fails.
    """
    if missing := [name for name in needed_names(make) if name not in params]:
        raise BuildError(
            f"{option} needs the parameter {missing[0]!r}, which the point has not"
            f"{did_you_mean(missing[0], params)}; give it a value, or {option} a default for it"
        )
    chosen = choose_params(make, params)
    try:
        return make(**chosen)
    except (HpsearchError, TrialFailed, Interrupted, KeyboardInterrupt):
        raise
    except BaseException as error:  # also SystemExit: a function may not end the command
        raise PreprocessingFailed(
            f"{option} fails at {describe_point(chosen)}: {first_line(error)}", chosen
        ) from error


def make_transformer(make: MakeTransformer, params: Params) -> Any:
    """The transformer, or the dict of them by input, at a point.

    Raises BuildError where the function lacks a parameter, fails, or returns anything else.
    """
    made, chosen = call_with_params(make, params), choose_params(make, params)
    each = list(made.values()) if isinstance(made, Mapping) else [made]
    for one in each:
        if why := why_not_preparing(one):
            raise PreprocessingFailed(f"{why} (at {describe_point(chosen)})", chosen)
        if not is_transformer(one) and not (one is None and isinstance(made, Mapping)):
            raise PreprocessingFailed(
                "preprocess must return a scikit-learn transformer, as StandardScaler(), or a dict "
                f"of them by input, got {brief(one)} at {describe_point(chosen)}; to leave rows as "
                "they are, return FunctionTransformer()",
                chosen,
            )
    return made


def describe_point(chosen: Params) -> str:
    """Parameters in a message.

    >>> describe_point({"scaler": "robust", "components": 5})
    "scaler='robust', components=5"
    """
    return ", ".join(f"{name}={brief(value)}" for name, value in chosen.items()) or "every point"
