"""Optimizers by name, with a learning rate.

Space(optimizer=Choice(*optimizers.NAMES), learning_rate=optimizers.LEARNING_RATE)
"""

from typing import Any

from hpsearch import Choice, Float
from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from spaces import checks

NAMES = ("sgd", "momentum", "rmsprop", "adam", "adamw", "adadelta")
PARAMS = ("optimizer", "learning_rate", "momentum", "weight_decay")

LEARNING_RATE = Float(1e-4, 1e-1, log=True)

SPACE = {
    "optimizer": Choice(*NAMES),
    "learning_rate": LEARNING_RATE,
    "momentum": Float(0.5, 0.99, when={"optimizer": "momentum"}),
    "weight_decay": Float(1e-5, 1e-1, log=True, when={"optimizer": "adamw"}),
}


def make(
    optimizer: str = "rmsprop",
    learning_rate: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
) -> Any:
    """A new Keras optimizer. Arguments that are None get their usual values.

    These are Keras's own, except that Adadelta gets the learning rate 1.0 of its paper (Zeiler,
    2012): with the 0.001 of Keras 3 it hardly moves, and LEARNING_RATE ends far below 1.0.
    The optimizer "momentum" is SGD with Nesterov's momentum, by default 0.9. Raises BuildError for
    an unknown name, and for numbers that are no rates.
    """
    given = {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
    given = {name: value for name, value in given.items() if value is not None}
    if learning_rate is not None:
        checks.number(given, "learning_rate", above=0.0)
    checks.number(given, "momentum", below=1.0)
    checks.number(given, "weight_decay")
    import keras

    kinds = {
        "sgd": keras.optimizers.SGD,
        "momentum": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "adadelta": keras.optimizers.Adadelta,
    }
    if optimizer not in kinds:
        raise BuildError(
            f"unknown optimizer {optimizer!r}{did_you_mean(optimizer, NAMES)}; "
            f"known: {', '.join(NAMES)}"
        )
    options: dict[str, Any] = {"weight_decay": weight_decay, "learning_rate": learning_rate}
    if optimizer == "momentum":
        options |= {"momentum": 0.9 if momentum is None else momentum, "nesterov": True}
    elif momentum is not None:
        raise BuildError(
            f"momentum={momentum} has no effect on {optimizer}; let it exist only where it does: "
            "momentum=Float(0.5, 0.99, when={'optimizer': 'momentum'})"
        )
    elif optimizer == "adadelta" and learning_rate is None:
        options |= {"learning_rate": 1.0}
    return kinds[optimizer](**{k: v for k, v in options.items() if v is not None})
