"""What all builders share: checking their parameters, and compiling."""

from collections.abc import Iterable
from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.training import ModelSpec
from hpsearch.training.base import unknown_parameter_message
from spaces import optimizers

PARAMS = ("loss", *optimizers.PARAMS)
"""Parameters of every builder. loss: the loss to train with, instead of the task's. The others are
those of `optimizers.make`, schedules included."""


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
    """Add the output layers that suit the task, and compile with the optimizer in params.

    Where the task has several outputs, each has a layer of its name, and the model returns a dict.
    """
    import keras

    dense, activation = keras.layers.Dense, spec.activation
    outputs: Any
    if isinstance(spec.outputs, dict):
        if "loss" in params:
            raise BuildError(
                "the parameter loss replaces the loss of one output, and the task has "
                f"{', '.join(spec.outputs)}; leave it out of the space"
            )
        outputs = {
            name: dense(units, activation=activation[name], name=name)(hidden)
            for name, units in spec.outputs.items()
        }
    else:
        outputs = dense(spec.outputs, activation=activation)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=optimizers.make(
            **{k: v for k, v in params.items() if k in optimizers.PARAMS}, spec=spec
        ),
        loss=params.get("loss", spec.loss),
        metrics=spec.metrics,
        loss_weights=getattr(spec, "loss_weights", None),
    )
    return model
