"""Which of a point's parameters go to `build` or `train`, to the fit, and to preprocessing."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.parameters import Choice, Float
from hpsearch.core.searched_preprocessing import check_parameters, parameter_names
from hpsearch.core.space import Params, Space
from hpsearch.training.base import DEFAULT_BATCH_SIZE, Build, TrainFunction

# Hyperparameters of the fit itself: any space may have them, and `build` does not get them.
FIT_PARAMS = ("batch_size", "shuffle")


def check_space(
    function: Build | TrainFunction,
    space: Space,
    *,
    trains_itself: bool = False,
    preprocessing: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Raise BuildError where a study's functions and the space do not have the same parameters.

    So it does for impossible batch sizes.

    Args:
        trains_itself: whether the function is `train`, not `build`.
        preprocessing: the task's functions of parameters, `Task.searched_preprocessing`.
    """
    of_fit = () if trains_itself else FIT_PARAMS
    taken: list[str] = []
    for called, make in (preprocessing or {}).items():
        check_parameters(make, space, of_fit=of_fit, option=called)
        taken += parameter_names(make)
    check_names(function, space, trains_itself=trains_itself, preprocessing=taken)
    for name in _needed_names(function):
        if name not in space:
            raise BuildError(
                f"{'train' if trains_itself else 'build'} needs the parameter {name!r}, which the "
                f"space has not{did_you_mean(name, space)}; add it to the space, or give it a "
                "default"
            )
    if trains_itself:
        return
    for name in FIT_PARAMS:
        if name in space and name in inspect.signature(function).parameters:
            raise BuildError(
                f"the parameter {name!r} of the space goes to the fit, not to build; give build's "
                "parameter another name"
            )
    if "batch_size" in space:
        sizes = space["batch_size"]
        ends = sizes.options if isinstance(sizes, Choice) else (sizes.low, sizes.high)
        for size in ends:
            batch_size({"batch_size": 0 if isinstance(sizes, Float) else size})
    if "shuffle" in space:
        switch = space["shuffle"]
        for option in switch.options if isinstance(switch, Choice) else (switch.low,):
            shuffles({"shuffle": option})


def leave_to_preprocessing(
    function: Build | TrainFunction, params: Params, preprocessing: Iterable[str]
) -> dict[str, Any]:
    """The point's parameters without those that are for the task's preprocessing alone.

    Args:
        function: `build` or `train`, which gets those that it names too.
        params: of the point.
        preprocessing: names of the parameters that preprocessing takes.
    """
    named = inspect.signature(function).parameters
    left_out = {name for name in preprocessing if name not in named}
    return {name: value for name, value in params.items() if name not in left_out}


def batch_size(params: Params) -> int:
    """Rows of a minibatch, 32 where the space does not say; BuildError if no whole number."""
    size = params.get("batch_size", DEFAULT_BATCH_SIZE)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BuildError(
            f"batch_size must be whole numbers of at least 1, got {size!r}; use Int or Choice"
        )
    return size


def shuffles(params: Params) -> bool:
    """Whether rows come in another order in each epoch, as by default; BuildError if no bool."""
    shuffle = params.get("shuffle", True)
    if not isinstance(shuffle, bool):
        raise BuildError(
            f"shuffle says whether the fit shuffles its rows, got {shuffle!r}; use "
            "Choice(True, False), or another name for a parameter of build"
        )
    return shuffle


def check_names(
    function: Build | TrainFunction,
    names: Iterable[str],
    *,
    trains_itself: bool = False,
    preprocessing: Iterable[str] = (),
) -> None:
    """Raise BuildError for names that a study's function has no parameter for.

    One with `**params` takes any name, and may check them itself.

    Args:
        trains_itself: whether the function is `train`, not `build`.
        preprocessing: names that the task's preprocessing takes.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known, elsewhere = [p.name for p in parameters[1:]], list(preprocessing)
    for name in names:
        if name in elsewhere or name in known or (name in FIT_PARAMS and not trains_itself):
            continue
        if not trains_itself:
            raise BuildError(unknown_parameter_message(name, known, elsewhere))
        raise BuildError(
            f"train does not take the parameter {name!r} of the space"
            f"{did_you_mean(name, [*known, *elsewhere])}; it takes {', '.join(known) or 'none'}"
            f"{_also_taken(elsewhere)}"
        )


def _needed_names(function: Build | TrainFunction) -> list[str]:
    """The parameters that a study's function has no default for, but for the first one."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in various]


def unknown_parameter_message(
    name: str, known: Iterable[str], preprocessing: Iterable[str] = ()
) -> str:
    known, elsewhere = list(known), list(preprocessing)
    return (
        f"build does not know the parameter {name!r}{did_you_mean(name, [*known, *elsewhere])}; it "
        f"takes {', '.join(known) or 'none'}{_also_taken(elsewhere)}, and batch_size and shuffle "
        "are for the fit"
    )


def _also_taken(preprocessing: Sequence[str]) -> str:
    """The parameters that preprocessing takes, in a message."""
    return f", preprocess takes {', '.join(preprocessing)}" if preprocessing else ""
