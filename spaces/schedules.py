"""Schedules of the learning rate: how it changes from the first step of a trial to the last.

Space(schedules.SPACE, learning_rate=optimizers.LEARNING_RATE)   the kind is searched too
Space(schedules.cosine(), learning_rate=Float(1e-3, 1e-1, log=True))

`learning_rate` is the highest rate. All other numbers are shares, of the steps of the longest trial
or of that rate, so that they mean the same for any number of rows, epochs and any batch size.
"""

from collections.abc import Mapping
from typing import Any

from hpsearch import Choice, Float, Int
from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.training import ModelSpec
from spaces import checks

NAMES = ("constant", "exponential", "cosine", "piecewise", "one_cycle")
# The parameters of each schedule.
_NUMBERS = {
    "constant": (),
    "exponential": ("decay",),
    "cosine": ("warmup", "final_share"),
    "piecewise": ("drops", "first_drop", "drop_to"),
    "one_cycle": ("warmup", "start_share", "final_share"),
}
PARAMS = ("schedule", *dict.fromkeys(name for names in _NUMBERS.values() for name in names))

Piece = dict[str, Float | Int | Choice]


def exponential(low: float = 0.7, high: float = 0.99) -> Piece:
    """Each epoch begins with `decay` times the rate of the one before."""
    return {"schedule": Choice("exponential"), "decay": Float(low, high)}


def cosine(warmup: float = 0.2) -> Piece:
    """The rate rises from 0 during a share of all steps, then falls along a cosine.

    Loshchilov and Hutter, SGDR (2017), without restarts; the warm-up is that of Goyal et al.,
    Accurate, large minibatch SGD (2017).

    Args:
        warmup: the largest share of steps; the smallest is 0.
    """
    return {
        "schedule": Choice("cosine"),
        "warmup": Float(0.0, warmup),
        "final_share": Float(1e-4, 0.1, log=True),
    }


def piecewise(drops: int = 3) -> Piece:
    """The rate falls to a share of itself up to `drops` times, at equal distances.

    Two drops, the first one at half of the steps, to a tenth: those of He et al., Deep residual
    learning (2016), on CIFAR-10.
    """
    return {
        "schedule": Choice("piecewise"),
        "drops": Int(1, drops),
        "first_drop": Float(0.3, 0.8),
        "drop_to": Float(0.05, 0.5, log=True),
    }


def one_cycle() -> Piece:
    """The rate rises from a share of its highest value to it, then falls far below where it began.

    Smith, A disciplined approach to neural network hyper-parameters (2018), on Keras's CosineDecay
    with its linear warm-up. The momentum does not change: Keras schedules the rate alone.
    """
    return {
        "schedule": Choice("one_cycle"),
        "warmup": Float(0.2, 0.5),
        "start_share": Float(0.02, 0.2, log=True),
        "final_share": Float(1e-4, 0.1, log=True),
    }


SPACE: Piece = {
    "schedule": Choice(*NAMES),
    "decay": Float(0.7, 0.99, when={"schedule": "exponential"}),
    "warmup": Float(0.0, 0.5, when={"schedule": ("cosine", "one_cycle")}),
    "start_share": Float(0.02, 0.2, log=True, when={"schedule": "one_cycle"}),
    "final_share": Float(1e-4, 0.1, log=True, when={"schedule": ("cosine", "one_cycle")}),
    "drops": Int(1, 3, when={"schedule": "piecewise"}),
    "first_drop": Float(0.3, 0.8, when={"schedule": "piecewise"}),
    "drop_to": Float(0.05, 0.5, log=True, when={"schedule": "piecewise"}),
}
"""A choice of all schedules, each with its own numbers."""


def make(params: Mapping[str, Any], spec: ModelSpec, learning_rate: float) -> Any:
    """The Keras schedule of a trial, or the rate itself where it is constant.

    Raises BuildError for an unknown name, wrong numbers, and numbers without effect.

    Args:
        params: `schedule`, and the numbers of this schedule, with defaults in brackets.
            exponential: decay (0.9), the factor of an epoch.
            cosine: warmup (0), a share of all steps; final_share (0) of the rate, at the last step.
            piecewise: drops (2); first_drop (0.5), the share of steps before it; drop_to (0.1).
            one_cycle: warmup (0.3); start_share (0.04) and final_share (1e-4) of the rate.
            Others are ignored.
        spec: of the trial: the steps of an epoch, and the most epochs that it can get.
        learning_rate: the highest.
    """
    name = params.get("schedule", "constant")
    _check_names(name, params)
    if name == "constant":
        return learning_rate
    import keras

    of_keras = keras.optimizers.schedules
    if spec.epochs < 1:
        raise BuildError(
            f"schedule={name!r} needs the steps of a trial, and spec has {spec.rows} rows and "
            f"{spec.epochs} epochs; pass the spec that build got"
        )
    steps = spec.steps_per_epoch * spec.epochs
    if name == "exponential":
        factor = checks.number(params, "decay", 0.9, above=0.0, most=1.0)
        return of_keras.ExponentialDecay(learning_rate, spec.steps_per_epoch, factor)
    if name == "piecewise":
        return _piecewise(params, steps, learning_rate)

    # Cosine and one-cycle: a linear rise, then half of a cosine.
    is_cycle = name == "one_cycle"
    share = checks.number(params, "warmup", 0.3 if is_cycle else 0.0, below=1.0)
    start = checks.number(params, "start_share", 0.04 if is_cycle else 0.0, most=1.0)
    final = checks.number(params, "final_share", 1e-4 if is_cycle else 0.0, most=1.0)
    # Of a single step none is left for the warm-up.
    warmup = min(round(share * steps), steps - 1)
    return of_keras.CosineDecay(
        learning_rate * start,
        steps - warmup,
        alpha=final,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )


def _check_names(name: Any, params: Mapping[str, Any]) -> None:
    """Raise BuildError for an unknown schedule, and for numbers that have no effect on it."""
    if name not in NAMES:
        raise BuildError(
            f"unknown schedule {name!r}{did_you_mean(str(name), NAMES)}; known: {', '.join(NAMES)}"
        )
    for number in PARAMS[1:]:
        if number in params and number not in _NUMBERS[name]:
            of = [each for each in NAMES if number in _NUMBERS[each]]
            raise BuildError(
                f"{number}={params[number]} has no effect on the schedule {name}; let it exist "
                f"only where it does: when={{'schedule': {of[0] if len(of) == 1 else tuple(of)!r}}}"
            )


def _piecewise(params: Mapping[str, Any], steps: int, learning_rate: float) -> Any:
    """Drops at equal distances, from the first one to the end, where the next one would be."""
    import keras

    drops = checks.whole(params, "drops", 2)
    first = checks.number(params, "first_drop", 0.5, above=0.0, below=1.0)
    factor = checks.number(params, "drop_to", 0.1, above=0.0, most=1.0)
    shares = [first + (1 - first) * i / drops for i in range(drops)]
    # The first step is step 0, and a boundary is the last step before a drop.
    boundaries = [round(share * steps) - 1 for share in shares]
    values = [learning_rate * factor**i for i in range(drops + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
