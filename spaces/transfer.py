"""A new head on a network that was trained on other data; later the whole is trained on.

build=transfer.model(load_backbone), space=Space(transfer.SPACE, dropout=Float(0.0, 0.5))

After Chollet, Deep Learning with Python (2018), 5.3: first the head alone is trained, on the frozen
backbone's features, then both, at a lower learning rate. The features are the same in every epoch
and every trial: side by side they are computed once, and only heads are trained.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hpsearch import Float, Int
from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.training import Build, ModelSpec, Phase, Phases
from spaces import checks, network, optimizers

PARAMS = ("units", "dropout", "frozen_epochs", "fine_tuning_rate", "unfrozen_layers")

SPACE = {
    "units": Int(16, 256, log=True),
    "learning_rate": optimizers.LEARNING_RATE,
}


def phases(epochs: int) -> dict[str, Float | Int]:
    """When the backbone is unfrozen, in a trial of at most so many epochs, and how it is trained on.

    The last value of frozen_epochs is `epochs`: it stays frozen.
    """
    return {
        "frozen_epochs": Int(1, epochs),
        "fine_tuning_rate": Float(1e-3, 1.0, log=True, when={"frozen_epochs": range(1, epochs)}),
    }


def model(backbone: Callable[[], Any], augment: Callable[[], Sequence[Any]] | None = None) -> Build:
    """A builder of a new head on a trained network.

    Args:
        backbone: returns the trained network, a Keras model from rows of the task to features. It
            is called once in each process, and what it returns is never trained itself.
        augment: returns new layers to put in front, such as keras.layers.RandomFlip. Features then
            differ in each epoch, and are computed in each step.

    Its parameters, with defaults in brackets; it raises BuildError for any other:
    units: of a dense layer in the head; without it, the head is the output layer alone.
    dropout (0): of the features, and behind the dense layer.
    frozen_epochs: the epochs of the first phase; by default, and where the trial has no more, all.
    fine_tuning_rate (0.1): the learning rate of the second phase, as a share of the first one's.
    unfrozen_layers: how many of the backbone's last layers are trained in the second phase; by
        default all. Batch normalisation keeps the means and deviations that it has.
    And those of `spaces.network`.
    """
    load = _Loaded(backbone)

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("transfer.model", spec, params, PARAMS)
        trained = load()
        inputs = keras.Input(spec.input_shape)
        x = inputs
        for layer in augment() if augment is not None else ():
            x = layer(x)
        head = _make_head(trained, spec, params)

        epochs = spec.epochs
        if "frozen_epochs" in params:
            epochs = min(checks.whole(params, "frozen_epochs"), epochs)

        def compile_on(base: Any, share: float, phase_epochs: int) -> Any:
            joined = keras.Model(inputs, head(base(x, training=False)))
            of_phase = replace(spec, epochs=phase_epochs)  # a schedule runs through in each phase
            return network.compile_model(joined, of_phase, params, rate_share=share)

        def start_frozen() -> Any:
            # A model of its own: calls of the shared one would pile up in it, trial by trial.
            base = keras.Model(trained.inputs, trained.outputs[0])
            base.trainable = False
            return compile_on(base, 1.0, epochs)

        def start_whole() -> Any:
            base = keras.models.clone_model(trained)
            base.set_weights(trained.get_weights())
            _unfreeze(base, params)
            share = checks.number(params, "fine_tuning_rate", 0.1, above=0.0)
            return compile_on(base, share, spec.epochs - epochs)

        if epochs == spec.epochs:
            return start_frozen()
        return Phases(Phase(start_frozen, epochs), Phase(start_whole))

    return build


class _Loaded:
    """The backbone, loaded when it is first needed.

    Args:
        load: the user's function.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load, self._model = load, None

    def __call__(self) -> Any:
        import keras

        if self._model is not None:
            return self._model
        # The first weights of the head must not depend on whether it was loaded before.
        states = random.getstate(), np.random.get_state()
        try:
            found = self._load()
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
        if not isinstance(found, keras.Model) or len(getattr(found, "outputs", None) or ()) != 1:
            raise BuildError(
                "transfer.model needs a function that returns a built Keras model with one output, "
                f"got {brief(found)}"
            )
        self._model = found
        return found


def _make_head(trained: Any, spec: ModelSpec, params: dict[str, Any]) -> Callable[[Any], Any]:
    """The layers of the head, as a function of the backbone's output; both phases share them."""
    from keras import layers

    rank = len(trained.outputs[0].shape)
    stack: list[Any] = [layers.GlobalAveragePooling2D()] if rank == 4 else []
    stack += [layers.Flatten()] if rank not in (2, 4) else []
    rate = checks.number(params, "dropout", below=1.0)
    stack += [layers.Dropout(rate)] if rate else []
    if "units" in params:
        stack.append(layers.Dense(checks.whole(params, "units"), activation="relu"))
        stack += [layers.Dropout(rate)] if rate else []
    stack.append(network.make_output_layers(spec, params))

    def apply(x: Any) -> Any:
        for layer in stack:
            x = layer(x)
        return x

    return apply


def _unfreeze(base: Any, params: dict[str, Any]) -> None:
    base.trainable = True
    if "unfrozen_layers" in params:
        for layer in base.layers[: -checks.whole(params, "unfrozen_layers")]:
            layer.trainable = False
