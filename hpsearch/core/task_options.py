"""Whether what a Task is given may be its outputs and its preprocessing."""

import itertools
from collections.abc import Collection, Mapping
from typing import Any

from hpsearch.core.errors import DataError
from hpsearch.core.preparing_layers import why_not_preparing
from hpsearch.core.rules import brief, why_no_name, why_no_number
from hpsearch.core.searched_preprocessing import (
    PREPROCESS_Y,
    MakeTransformer,
    PreprocessingFailed,
    call_with_params,
    choose_params,
    describe_point,
    is_searched,
    is_transformer,
    parameter_names,
)
from hpsearch.core.space import Params
from hpsearch.core.target_steps import check_target_steps


def check_outputs(losses: Mapping[Any, Any]) -> None:
    """Raise DataError where the outputs' names cannot be those of several outputs.

    Args:
        losses: the loss of each output, by its name.
    """
    for name in losses:
        if (why := why_no_name(name)) or "/" in name:
            raise DataError(f"outputs need {why or 'names without /'}, got {brief(name)}")
    if len(losses) < 2:
        raise DataError("loss= a dict is for two outputs or more; for one, give its loss alone")
    for one, other in itertools.permutations(losses, 2):
        if other.startswith(f"{one}_") or other == f"val_{one}":
            raise DataError(
                f"outputs {one} and {other} cannot be told apart in Keras's logs, as "
                f"{other}_loss; rename one"
            )


def check_options_by_output(outputs: Collection[str], options: Mapping[str, Any]) -> None:
    """Raise DataError where an option is no dict by output, or a weight of a loss no number.

    Args:
        outputs: their names, as `loss=` has them.
        options: kind, outputs and loss_weights, as they were given.
    """
    for option, given in options.items():
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise DataError(
                f"with several outputs {option}= is a dict by output, got {brief(given)}"
            )
        if unknown := [name for name in given if name not in outputs]:
            raise DataError(
                f"{option}= names an output {brief(unknown[0])} that loss= does not; it names "
                f"{', '.join(outputs)}"
            )
    for name, weight in (options["loss_weights"] or {}).items():
        if why_no_number(weight) or weight < 0:
            raise DataError(f"loss_weights needs numbers from 0 on, got {brief(weight)} for {name}")


def check_preprocess(given: Any) -> None:
    """Raise DataError where `preprocess=` prepares no rows."""
    all_of_it = list(given.values()) if isinstance(given, Mapping) else [given]
    for each in all_of_it:
        if why := why_not_preparing(each):
            raise DataError(why)
    if is_searched(given):
        parameter_names(given)
        return
    for each in all_of_it:
        if each is not None and not is_transformer(each):
            raise DataError(
                "Task needs preprocess= a scikit-learn transformer, as StandardScaler(), or a dict "
                f"of them, or a function of parameters that returns one, got {brief(each)}"
            )


def check_preprocess_y(given: Any, outputs: tuple[str, ...]) -> None:
    """Raise DataError where `preprocess_y=` does not change targets, and predictions back."""
    if is_searched(given):
        parameter_names(given, PREPROCESS_Y)
    elif given is not None:
        check_target_steps(given, outputs)


def make_target_steps(make: MakeTransformer, params: Params, outputs: tuple[str, ...]) -> Any:
    """What changes targets at a point. Raises BuildError where the function returns none."""
    made, chosen = call_with_params(make, params, PREPROCESS_Y), choose_params(make, params)
    try:
        if made is not None:
            check_target_steps(made, outputs, "preprocess_y must return")
    except DataError as error:
        raise PreprocessingFailed(f"{error} at {describe_point(chosen)}", chosen) from error
    return made
