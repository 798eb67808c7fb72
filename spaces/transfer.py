"""A new head on a network that was trained on other data; later the whole is trained on.

build=transfer.model(load_backbone), space=Space(transfer.SPACE, dropout=Float(0.0, 0.5))
build=transfer.model(backbones.from_file("models/eight", layer="features"))

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
from hpsearch.core.errors import BuildError, first_line
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec, Phase, Phases
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


def model(
    backbone: Callable[[], Any], augment: Callable[[], Sequence[Any]] | None = None
) -> network.BuildWithDefault:
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
    unfrozen_layers: how many of the backbone's last layers with weights are trained in the second
        phase; by default all. Batch normalisation is not, and keeps its means and deviations.
    And those of `spaces.network`. Its `default` is what mostly works.
    """
    load = _Loaded(backbone)

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("transfer.model", spec, params, PARAMS)
        trained = load(spec)
        inputs = keras.Input(spec.input_shape)
        x = inputs
        for layer in augment() if augment is not None else ():
            x = layer(x)
        head = _make_head(trained, spec, params)

        epochs = spec.epochs
        if "frozen_epochs" in params:
            epochs = min(checks.whole(params, "frozen_epochs"), epochs)

        def compile_on(base: Any, share: float, phase_epochs: int) -> Any:
            joined = keras.Model(inputs, head(base(x)))
            of_phase = replace(spec, epochs=phase_epochs)  # a schedule runs through in each phase
            return network.compile_model(joined, of_phase, params, rate_share=share)

        def start_frozen() -> Any:
            # A model of its own: calls of the shared one would pile up in it, trial by trial.
            base = keras.Model(trained.inputs, trained.outputs[0])
            base.trainable = False
            return compile_on(base, 1.0, epochs)

        def start_whole() -> Any:
            copied = _copy(trained)
            base = keras.Model(copied.inputs, copied.outputs[0])  # with a name of its own
            _unfreeze(copied, params)
            share = checks.number(params, "fine_tuning_rate", 0.1, above=0.0)
            return compile_on(base, share, spec.epochs - epochs)

        if epochs == spec.epochs:
            return start_frozen()
        return Phases(Phase(start_frozen, epochs), Phase(start_whole))

    return network.with_default(build, units=64, dropout=0.2, fine_tuning_rate=0.1)


class _Loaded:
    """The backbone, loaded when it is first needed.

    Args:
        load: the user's function.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._model: Any = None

    def __call__(self, spec: ModelSpec) -> Any:
        if self._model is None:
            self._model = self._load_backbone()
        wanted = tuple(self._model.inputs[0].shape[1:])
        if len(wanted) != len(spec.input_shape) or any(
            size not in (None, given) for size, given in zip(wanted, spec.input_shape, strict=True)
        ):
            raise BuildError(
                f"the backbone takes rows of shape {wanted}, and the task's are {spec.input_shape}"
            )
        return self._model

    def _load_backbone(self) -> Any:
        import keras

        # The first weights of the head must not depend on whether it was loaded before.
        states = random.getstate(), np.random.get_state()
        try:
            found = self._load()
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
        ends = [getattr(found, name, None) or () for name in ("inputs", "outputs")]
        if not isinstance(found, keras.Model) or [len(end) for end in ends] != [1, 1]:
            raise BuildError(
                "transfer.model needs a function that returns a built Keras model with one input "
                f"and one output, got {brief(found)}"
            )
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


def _copy(trained: Any) -> Any:
    """A copy that can be trained. BuildError where Keras cannot make one."""
    import keras

    try:
        copied = keras.models.clone_model(trained)
        copied.set_weights(trained.get_weights())
    except Exception as error:
        raise BuildError(
            f"the backbone cannot be copied for its second phase: {first_line(error)}"
        ) from error
    return copied


def _unfreeze(base: Any, params: dict[str, Any]) -> None:
    import keras

    # One by one: on TensorFlow, a copy does not pass the mark on to its layers.
    for layer in base._flatten_layers():
        layer.trainable = True
    if "unfrozen_layers" in params:
        weighted = [layer for layer in base.layers if layer.weights]
        last = checks.whole(params, "unfrozen_layers")
        if last > len(weighted):
            raise BuildError(
                f"unfrozen_layers={last}, and the backbone has {len(weighted)} layers with weights"
            )
        for layer in weighted[:-last]:
            layer.trainable = False
    # A call with training=False would not keep their means: in `fit`, Keras overrides it.
    for layer in base._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
