"""Ranges of a space, and their values, as Optuna has them.

Optuna compares the options of a Choice by ==, and True == 1. It is therefore given their places,
from 0, instead of the options themselves.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hpsearch.core.parameters import Choice, Float, Int, typed_key

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial


def to_distribution(
    parameter: Float | Int | Choice, options: Sequence[Any] | None = None
) -> "BaseDistribution":
    """The range as a distribution of Optuna's.

    Args:
        options: what stands for the options of a Choice; their places where it is None.
    """
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(parameter, Choice):
        return CategoricalDistribution(options or range(len(parameter.options)))
    if isinstance(parameter, Int):
        step = parameter.step or 1
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=step)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def to_optuna_value(parameter: Float | Int | Choice, value: Any) -> Any:
    """A value of the range as a value of its distribution."""
    if not isinstance(parameter, Choice):
        return value
    return next(
        i for i, option in enumerate(parameter.options) if typed_key(option) == typed_key(value)
    )


def suggest_value(trial: "Trial", name: str, parameter: Float | Int | Choice) -> Any:
    """Ask a running Optuna trial for a value of the range."""
    distribution: Any = to_distribution(parameter)
    if isinstance(parameter, Choice):
        return parameter.options[trial.suggest_categorical(name, distribution.choices)]
    suggest = trial.suggest_int if isinstance(parameter, Int) else trial.suggest_float
    value = suggest(
        name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
    )
    if isinstance(parameter, Float) and parameter.step is not None:
        # Optuna's steps add up rounding errors: 0.1 + 2 * 0.1 is not 0.3.
        return parameter.decode(parameter.encode(value))
    return value
