"""What all builders share: checking their parameters, and compiling."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, cast

from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.training import Build, ModelSpec
from hpsearch.training.point_parameters import unknown_parameter_message
from spaces import checks, optimizers

PARAMS = ("loss", *optimizers.PARAMS)
"""Parameters of every builder. loss: the loss to train with, instead of the task's. The others are
those of `optimizers.make`, schedules included."""


NORMALIZATIONS = ("none", "batch", "layer")

DEFAULT: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "clipnorm": 1.0,
    "clipvalue": 1.0,
    "use_ema": False,
    "gradient_accumulation_steps": 1,
    "schedule": "constant",
    "batch_size": 32,
}
"""What mostly works, of the parameters of every builder."""


class BuildWithDefault(Protocol):
    """A `build` that knows which point mostly works; a study tries it first.

    default: values by parameter; of those that a space has not, nothing is used.
    """

    default: Mapping[str, Any]

    def __call__(self, spec: ModelSpec, **params: Any) -> Any: ...


def with_default(build: Build, **default: Any) -> BuildWithDefault:
    """Let a `build` know its default point, these values and DEFAULT; returns it."""
    found = cast(BuildWithDefault, build)
    found.default = MappingProxyType({**DEFAULT, **default})
    return found


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


def choose_kind(
    builder: str,
    given: str | None,
    params: Mapping[str, Any],
    kinds: Sequence[str],
    only: Mapping[str, Sequence[str]],
) -> str:
    """The kind of network, by what the builder was given, else by the parameter `kind`.

    Args:
        kinds: those that there are.
        only: the kinds that alone have a parameter, by its name.

    Raises BuildError for any other kind, and for parameters that have no effect on it.
    """
    if given is not None and "kind" in params:
        raise BuildError(
            f"{builder} was given the kind {given!r}, and the space has kind={params['kind']}; "
            "leave one of them out"
        )
    kind = str(params.get("kind", given))
    if kind not in kinds:
        raise BuildError(
            f"{builder} needs a kind, {', '.join(kinds)}, got {kind!r}{did_you_mean(kind, kinds)}"
        )
    for name, having in only.items():
        if name in params and kind not in having:
            where = having[0] if len(having) == 1 else tuple(having)
            raise BuildError(
                f"{name}={params[name]} has no effect on kind={kind!r}; let it exist only where it "
                f"does: when={{'kind': {where!r}}}"
            )
    return kind


def make_normalizer(params: Mapping[str, Any]) -> Callable[[], Any] | None:
    """What makes the normalization that the parameter `normalization` asks for; None for none."""
    import keras

    name = checks.one_of(params, "normalization", NORMALIZATIONS, "none")
    if name == "batch":
        # Its means adapt soon, even on small data.
        return lambda: keras.layers.BatchNormalization(momentum=0.9)
    return keras.layers.LayerNormalization if name == "layer" else None


def make_output_layers(spec: ModelSpec, params: dict[str, Any]) -> Callable[[Any], Any]:
    """The output layers that suit the task, as a function of what they are applied to.

    Where the task has several outputs, each has a layer of its name, and the function returns a
    dict.
    """
    from keras.layers import Dense

    if not isinstance(spec.outputs, dict):
        layer: Callable[[Any], Any] = Dense(spec.outputs, activation=spec.activation)
        return layer
    if "loss" in params:
        raise BuildError(
            "the parameter loss replaces the loss of one output, and the task has "
            f"{', '.join(spec.outputs)}; leave it out of the space"
        )
    layers = {
        name: Dense(units, activation=spec.activation[name], name=name)
        for name, units in spec.outputs.items()
    }
    return lambda hidden: {name: layer(hidden) for name, layer in layers.items()}


def compiled(inputs: Any, hidden: Any, spec: ModelSpec, params: dict[str, Any]) -> Any:
    """Add the output layers that suit the task, and compile with the optimizer in params."""
    import keras

    return compile_model(
        keras.Model(inputs, make_output_layers(spec, params)(hidden)), spec, params
    )


def compile_model(
    model: Any, spec: ModelSpec, params: dict[str, Any], rate_share: float = 1.0
) -> Any:
    """Compile a model with the optimizer in params, at this share of its learning rate."""
    given = {name: value for name, value in params.items() if name in optimizers.PARAMS}
    if rate_share != 1.0:
        usual = optimizers.make(given.get("optimizer", "rmsprop")).learning_rate
        given["learning_rate"] = float(given.get("learning_rate", usual)) * rate_share
    model.compile(
        optimizer=optimizers.make(**given, spec=spec),
        loss=params.get("loss", spec.loss),
        metrics=spec.metrics,
        loss_weights=getattr(spec, "loss_weights", None),
    )
    return model
