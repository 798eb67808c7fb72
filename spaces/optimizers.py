"""Optimizers by name, with a learning rate, its schedule, clipping, averaging of the weights...

Space(optimizer=Choice(*optimizers.NAMES), learning_rate=optimizers.LEARNING_RATE)
Space(optimizers.ALL, optimizers.clipping(), schedules.SPACE)
"""

import inspect
from typing import Any

from hpsearch import Choice, Float
from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec
from spaces import checks, schedules

NAMES = ("sgd", "momentum", "rmsprop", "adam", "adamw", "adadelta")
"""Those of SPACE."""

_CLASSES = {
    "sgd": "SGD",
    "momentum": "SGD",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "adadelta": "Adadelta",
    "nadam": "Nadam",
    "adamax": "Adamax",
    "adagrad": "Adagrad",
    "lion": "Lion",
    "adafactor": "Adafactor",
    "ftrl": "Ftrl",
    "muon": "Muon",
}
ALL_NAMES = tuple(_CLASSES)
"""All that `make` knows. Some change the weights by a fixed length, and so want small rates: lion."""

_OWN = (
    *("momentum", "weight_decay", "clipnorm", "clipvalue", "use_ema", "ema_momentum"),
    "gradient_accumulation_steps",
)
PARAMS = ("optimizer", "learning_rate", *_OWN, *schedules.PARAMS)

LEARNING_RATE = Float(1e-4, 1e-1, log=True)

SPACE = {
    "optimizer": Choice(*NAMES),
    "learning_rate": LEARNING_RATE,
    "momentum": Float(0.5, 0.99, when={"optimizer": "momentum"}),
    "weight_decay": Float(1e-5, 1e-1, log=True, when={"optimizer": "adamw"}),
}

ALL = {
    **SPACE,
    "optimizer": Choice(*ALL_NAMES),
    "weight_decay": Float(1e-5, 1e-1, log=True, when={"optimizer": ("adamw", "lion", "muon")}),
}
"""SPACE with all optimizers; `weight_decay` where its paper has it. `make` takes it for any."""


def clipping(low: float = 0.1, high: float = 10.0) -> dict[str, Float]:
    """Gradients whose norm is above `clipnorm` are shortened to it, for each weight by itself."""
    return {"clipnorm": Float(low, high, log=True)}


def averaging() -> dict[str, Choice | Float]:
    """Whether the weights are averaged over the steps; a step forgets 1 - `ema_momentum`."""
    return {
        "use_ema": Choice(False, True),
        "ema_momentum": Float(0.9, 0.999, when={"use_ema": True}),
    }


def accumulation(*steps: int) -> dict[str, Choice]:
    """Over how many minibatches gradients are averaged before each change of the weights."""
    return {"gradient_accumulation_steps": Choice(*(steps or (1, 2, 4)))}


def make(
    optimizer: str = "rmsprop",
    learning_rate: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    *,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    use_ema: bool | None = None,
    ema_momentum: float | None = None,
    gradient_accumulation_steps: int | None = None,
    spec: ModelSpec | None = None,
    **schedule: Any,
) -> Any:
    """A new Keras optimizer. Arguments that are None get their usual values.

    These are Keras's own, but for two. Adadelta gets the learning rate 1.0 of its paper (Zeiler,
    2012): with the 0.001 of Keras 3 it hardly moves, and LEARNING_RATE ends far below 1.0.
    Adafactor gets epsilon_1=1e-16: with Keras's 1e-30 it divides 0 by 0 in float32 where an input
    and a unit are zero throughout. The optimizer "momentum" is SGD with Nesterov's momentum, by
    default 0.9.

    Raises BuildError for unknown names, and for numbers that are wrong or have no effect.

    Args:
        clipnorm: the norm that each weight's gradient has at most; above 0.
        clipvalue: instead, the size that each of its elements has at most.
        use_ema: whether Keras averages the weights (an exponential moving average).
        ema_momentum: the share of the average that a step keeps; 0.99.
        gradient_accumulation_steps: minibatches whose gradients are averaged before each change of
            the weights; 1: none.
        spec: what `build` got; only a schedule needs it.
        schedule: the parameters of `schedules.make`.
    """
    for name in schedule:
        if name not in schedules.PARAMS:
            raise BuildError(
                f"optimizers.make does not know {name!r}{did_you_mean(name, PARAMS)}; "
                f"it takes {', '.join(PARAMS)}"
            )
    kind = _find_class(optimizer)
    given: dict[str, Any] = {
        "learning_rate": learning_rate,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "clipnorm": clipnorm,
        "clipvalue": clipvalue,
        "use_ema": use_ema,
        "ema_momentum": ema_momentum,
        "gradient_accumulation_steps": gradient_accumulation_steps,
    }
    given = {name: value for name, value in given.items() if value is not None}
    _check_numbers(given)
    _check_effects(optimizer, given)

    # What Keras calls otherwise, and what it would refuse.
    known = inspect.signature(kind).parameters
    if given.get("gradient_accumulation_steps") == 1:
        del given["gradient_accumulation_steps"]
    if optimizer == "momentum":
        given |= {"momentum": given.get("momentum", 0.9), "nesterov": True}
    if optimizer == "adafactor":
        given["epsilon_1"] = 1e-16
    if "weight_decay" in given and "adam_weight_decay" in known:  # of Muon's other weights
        given["adam_weight_decay"] = given["weight_decay"]

    usual = 1.0 if optimizer == "adadelta" else known["learning_rate"].default
    given.setdefault("learning_rate", usual)
    if schedule:
        if spec is None:
            raise BuildError("a schedule needs the steps of a trial: optimizers.make(spec=spec)")
        given["learning_rate"] = schedules.make(schedule, spec, given["learning_rate"])
    return kind(**given)


def _find_class(optimizer: str) -> Any:
    import keras

    if optimizer not in _CLASSES:
        raise BuildError(
            f"unknown optimizer {optimizer!r}{did_you_mean(optimizer, ALL_NAMES)}; "
            f"known: {', '.join(ALL_NAMES)}"
        )
    kind = getattr(keras.optimizers, _CLASSES[optimizer], None)
    if kind is None:
        raise BuildError(
            f"Keras {keras.__version__} has no optimizer {_CLASSES[optimizer]}; install a later "
            f"one, or leave {optimizer!r} out of the space"
        )
    return kind


def _check_numbers(given: dict[str, Any]) -> None:
    """Raise BuildError for numbers that are no rates, norms or counts; make the others Python's."""
    for name in ("learning_rate", "clipnorm", "clipvalue"):
        if name in given:
            given[name] = checks.number(given, name, above=0.0)
    for name in ("momentum", "ema_momentum"):
        if name in given:
            given[name] = checks.number(given, name, below=1.0)
    if "weight_decay" in given:
        given["weight_decay"] = checks.number(given, "weight_decay")
    if "gradient_accumulation_steps" in given:
        name = "gradient_accumulation_steps"
        given[name] = checks.whole(given, name)
    if not isinstance(given.get("use_ema", False), bool):
        raise BuildError(f"use_ema is True or False, got {brief(given['use_ema'])}")


def _check_effects(optimizer: str, given: dict[str, Any]) -> None:
    """Raise BuildError for what Keras would ignore."""
    if "momentum" in given and optimizer != "momentum":
        raise BuildError(
            f"momentum={given['momentum']} has no effect on {optimizer}; let it exist only where "
            "it does: momentum=Float(0.5, 0.99, when={'optimizer': 'momentum'})"
        )
    if "ema_momentum" in given and not given.get("use_ema"):
        raise BuildError(
            f"ema_momentum={given['ema_momentum']} has no effect without use_ema=True; let it exist "
            "only where it does: ema_momentum=Float(0.9, 0.999, when={'use_ema': True})"
        )
    if "clipnorm" in given and "clipvalue" in given:
        raise BuildError(
            "Keras clips gradients by clipnorm or by clipvalue, and both are given; leave one out "
            "of the space"
        )
