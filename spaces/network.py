"""What all builders share: checking their parameters, and compiling."""

from collections.abc import Iterable
from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.training import ModelSpec
from hpsearch.training.base import unknown_parameter_message
from spaces import optimizers

PARAMS = ("loss", *optimizers.PARAMS)
"""Parameters of every builder. loss: the loss to train with, instead of the task's."""


def check(builder: str, spec: ModelSpec, params: Iterable[str], known: Iterable[str]) -> None:
    """Raise BuildError for a task with several inputs, and for unknown parameters."""
    if isinstance(spec.input_shape, dict):
        raise BuildError(
            f"{builder} takes one input, and the task has {', '.join(spec.input_shape)}; "
            "join them in a build of your own"
        )
    known = [*known, *PARAMS]
    for name in params:
        if name not in known:
            raise BuildError(unknown_parameter_message(name, known))


def compiled(inputs: Any, hidden: Any, spec: ModelSpec, params: dict[str, Any]) -> Any:
    """Add the output layer that suits the task, and compile with the optimizer in params."""
    import keras

    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=optimizers.make(**{k: v for k, v in params.items() if k in optimizers.PARAMS}),
        loss=params.get("loss", spec.loss),
        metrics=spec.metrics,
    )
    return model
