"""What of a model is structure, and what are mere numbers that one program takes as data.

Two models of one structure train by one compiled program, each with its own numbers.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from hpsearch.seeds import canonical
from hpsearch.training.base import Fit
from hpsearch.training.building import without_tensorflow
from hpsearch.training.overrides import description, first_override, is_of_keras, serial

PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
_SMOOTHED = (keras.losses.CategoricalCrossentropy, keras.losses.BinaryCrossentropy)
_MOMENTUM = (keras.optimizers.SGD, keras.optimizers.RMSprop)
_MIXING = (keras.layers.Lambda, keras.layers.MixUp, keras.layers.CutMix)
# Losses of Keras that compare row by row, and operations beside layers that do.
_ROWWISE_LOSSES = {
    *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"),
    *("mean_squared_logarithmic_error", "huber", "log_cosh", "poisson", "kl_divergence"),
    *("hinge", "squared_hinge", "categorical_hinge", "cosine_similarity"),
    *("binary_crossentropy", "binary_focal_crossentropy", "sparse_categorical_crossentropy"),
    *("categorical_crossentropy", "categorical_focal_crossentropy"),
}
_ROWWISE_OPERATIONS = {"Add", "Subtract", "Multiply", "TrueDivide", "Negative", "Relu", "Tanh"}


class Number:
    """A traced number that Keras takes for a nonzero one.

    Keras asks of a dropout rate or a momentum whether it is zero, which nobody knows of data; at
    zero, what it does then has no effect.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __jax_array__(self) -> Any:
        return self.value

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

    def __gt__(self, other: Any) -> bool:
        return True

    def __add__(self, other: Any) -> Any:
        return self.value + other

    def __sub__(self, other: Any) -> Any:
        return self.value - other

    def __rsub__(self, other: Any) -> Any:
        return other - self.value

    def __mul__(self, other: Any) -> Any:
        return self.value * other

    def __truediv__(self, other: Any) -> Any:
        return self.value / other

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True)
class Place:
    """Where a number is kept in a model. layer: whose it is; None: the optimizer's or the loss's."""

    layer: Any
    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]


class Numbers:
    """The numbers of one model that its program takes as data, in the order of its structure.

    The learning rate is not among them: it is a variable of the optimizer.
    """

    def __init__(self, model: Any) -> None:
        self.places = list(_places(model))
        self.values = [float(place.get()) for place in self.places]

    def replaced(self, by: Sequence[Any]) -> contextlib.AbstractContextManager[None]:
        """The model has traced values for the time being."""
        return self._instead([Number(value) for value in by])

    def blank(self) -> contextlib.AbstractContextManager[None]:
        """The model has none of them for the time being, so that only its structure tells."""
        return self._instead([1.0] * len(self.places))

    @contextlib.contextmanager
    def _instead(self, values: Sequence[Any]) -> Iterator[None]:
        before = [place.get() for place in self.places]
        for place, value in zip(self.places, values, strict=True):
            place.set(value)
        try:
            yield
        finally:
            for place, value in zip(self.places, before, strict=True):
                place.set(value)


def structure(model: Any, numbers: Numbers, fit: Fit) -> str:
    """Equal for two models exactly where one program serves both.

    Where a model's description does not tell all of it, the point that it was built at must.
    """
    with numbers.blank(), without_tensorflow():
        itself = [type(model).__qualname__, canonical(fit.params), serial(fit.build)]
        network = description(model)
        described = {
            "model": itself if network is None else anonymous(network),
            "trainable": [v.trainable for v in model.variables],
            "shapes": [[str(v.dtype), *v.shape] for v in model.variables],
            "compiled": described_compilation(model),
            "numbers": [place.name for place in numbers.places],
        }
    return json.dumps(described, sort_keys=True, default=unique)


def obstacle(model: Any) -> str | None:
    """Why no gang can train this model, if none can."""
    if why := first_override(model, keras.Model):
        return why
    if why := first_override(model.optimizer, keras.optimizers.Optimizer):
        return f"its optimizer {why}"
    if isinstance(model.loss, keras.losses.Loss):
        if why := first_override(model.loss, keras.losses.Loss, "call"):
            return f"its loss {why}"
    if model.run_eagerly or not model.jit_compile:
        return _why_not_compiled(model)
    if isinstance(model.loss, dict | list | tuple) or len(model.outputs or [1]) > 1:
        return "it has several outputs"
    if model._compile_loss._user_loss_weights is not None:
        return "its loss is weighted (loss_weights)"
    if model.optimizer.use_ema:
        return "its optimizer averages the weights (use_ema=True)"
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        return "its optimizer scales the loss"
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) is True:
            return f"a layer {type(layer).__name__} keeps its state from batch to batch"
    if _reduction(model.loss) is None:
        return "its loss is not reduced to a mean or a sum"
    return None


def _why_not_compiled(model: Any) -> str:
    """Who wanted the model's steps to be taken operation by operation: the user, or a layer."""
    if model.run_eagerly:
        return "it was compiled with run_eagerly=True"
    refusing = [layer for layer in model._flatten_layers() if not layer.supports_jit]
    if not refusing:
        return "it was compiled with jit_compile=False"
    return (
        f"Keras does not compile a layer {type(refusing[0]).__name__} (its supports_jit is False), so that "
        "each step is taken operation by operation, which is slow on JAX; do what the layer does in "
        "the data or in preprocess, or use --backend tensorflow"
    )


def other_metric(model: Any, name: str) -> str | None:
    """A metric by the name of the task's that need not be the task's, if the model has one."""
    compiled = model._compile_metrics
    if compiled is None:
        return None
    for metric in keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics]):
        own = getattr(metric, "name", None) or getattr(metric, "__name__", None)
        if own == name and not (
            name == "rmse" and type(metric) is keras.metrics.RootMeanSquaredError
        ):
            return f"it was compiled with a metric {name!r} of its own, not with spec.metrics"
    return None


def row_mixer(model: Any) -> str | None:
    """What lets rows of a batch act on each other, if anything may.

    Rows that fill up a batch would then act on the real ones. BatchNormalization is none: it can
    be told which rows are real.
    """
    for layer in model._flatten_layers():
        for operation in getattr(layer, "_operations", ()):
            name = type(operation).__name__
            if not isinstance(operation, keras.layers.Layer) and name not in _ROWWISE_OPERATIONS:
                return f"{name} is an operation outside of layers"
    for layer in model._flatten_layers(include_self=False):
        if not is_of_keras(layer) or isinstance(layer, _MIXING):
            return f"{type(layer).__name__} is not one of Keras's own layers"
        if getattr(layer, "activity_regularizer", None) is not None:
            return f"a layer {type(layer).__name__} has an activity_regularizer"
        if isinstance(layer, keras.layers.BatchNormalization) and not _channels_last(layer):
            return "a BatchNormalization normalizes over another axis than the last"
        axes = getattr(layer, "axis", None)
        if 0 in (axes if isinstance(axes, list | tuple) else [axes]):
            return f"a layer {type(layer).__name__} works along the rows (axis=0)"
    if any(getattr(output, "_keras_mask", None) is not None for output in model.outputs):
        return "its predictions are masked"
    return None if _is_rowwise(model.loss) else "its loss need not compare row by row"


def _is_rowwise(loss: Any) -> bool:
    loss = keras.losses.get(loss)
    compare = getattr(loss, "fn", None) or loss
    options = getattr(loss, "_fn_kwargs", {})
    return (
        (not isinstance(loss, keras.losses.Loss) or is_of_keras(loss, keras.losses.Loss))
        and str(getattr(compare, "__module__", "")).startswith("keras.src.")
        and getattr(compare, "__name__", "") in _ROWWISE_LOSSES
        and options.get("axis") in (None, -1)
        and options.get("ignore_class") is None
    )


def loss_is_mean(model: Any) -> bool:
    """Whether the loss of a batch is the mean over its rows; else it is their sum."""
    return _reduction(model.loss) != "sum"


def _places(model: Any) -> Iterator[Place]:
    seen: set[tuple[int, str]] = set()

    def of(layer: Any, owner: Any, attribute: str, name: str) -> Iterator[Place]:
        value = getattr(owner, attribute, None)
        if value is None or isinstance(value, bool) or not float(value):
            return
        if (id(owner), attribute) not in seen:  # layers may share a regularizer
            seen.add((id(owner), attribute))
            get, set_ = partial(getattr, owner, attribute), partial(setattr, owner, attribute)
            yield Place(layer, name, get, set_)

    trained = {id(variable) for variable in model.trainable_variables}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dropout) and is_of_keras(layer):
            yield from of(layer, layer, "rate", "rate")
        for variable in layer._trainable_variables:
            if id(variable) in trained and type(variable.regularizer) in PENALTIES:
                for factor in ("l1", "l2"):
                    name = f"{factor} of {variable.name}"
                    yield from of(layer, variable.regularizer, factor, name)
    yield from of(None, model.optimizer, "weight_decay", "weight_decay")
    if isinstance(model.optimizer, _MOMENTUM):
        yield from of(None, model.optimizer, "momentum", "momentum")
    if type(model.loss) in _SMOOTHED and _smooths_last_axis(model.loss._fn_kwargs):
        yield _place_of_smoothing(model.loss)


def _smooths_last_axis(options: dict[str, Any]) -> bool:
    return bool(options.get("label_smoothing")) and options.get("axis", -1) == -1


def _place_of_smoothing(loss: Any) -> Place:
    """How far a loss smooths labels. Keras takes no traced number for it, so we smooth them then."""
    options, function = loss._fn_kwargs, loss.fn

    def put(value: Any) -> None:
        traced = isinstance(value, Number)
        options["label_smoothing"] = 0.0 if traced else value
        loss.fn = _with_smoothed_labels(function, value.value) if traced else function

    return Place(None, "label_smoothing", partial(options.get, "label_smoothing"), put)


def _with_smoothed_labels(loss: Callable[..., Any], smoothing: Any) -> Callable[..., Any]:
    """The loss of labels that are moved towards all classes alike; as Keras documents it."""

    def smoothed(y_true: Any, y_pred: Any, **options: Any) -> Any:
        y_true = keras.ops.cast(y_true, y_pred.dtype)
        classes = 2 if loss is keras.losses.binary_crossentropy else y_pred.shape[-1]
        return loss(y_true * (1.0 - smoothing) + smoothing / classes, y_pred, **options)

    return smoothed


def anonymous(config: Any) -> Any:
    """A description without what tells no structure: names, seeds, and how weights begin."""
    names: dict[str, str] = {}
    _collect(config, names)
    return _renamed(config, names)


def _collect(config: Any, names: dict[str, str]) -> None:
    if isinstance(config, dict):
        name = config.get("name")
        if isinstance(name, str):
            names.setdefault(name, f"#{len(names)}")
        for value in config.values():
            _collect(value, names)
    elif isinstance(config, list | tuple):
        for value in config:
            _collect(value, names)


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {
            key: _renamed(value, names)
            for key, value in config.items()
            if key != "seed" and not key.endswith("_initializer") and key != "registered_name"
        }
    if isinstance(config, list | tuple):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def described_compilation(model: Any) -> Any:
    """Of optimizer and loss all but the numbers; call it while these are blank."""
    optimizer = model.optimizer.get_config()
    if not isinstance(optimizer.get("learning_rate"), dict):  # a schedule
        optimizer.pop("learning_rate", None)
    kind = type(model.optimizer).__qualname__
    return [kind, anonymous(optimizer), _described_loss(model)]


def _described_loss(model: Any) -> Any:
    if isinstance(model.loss, str):
        return model.loss
    if isinstance(model.loss, keras.losses.Loss):
        described = dict(model.loss.get_config())
        if hasattr(model.loss, "_fn_kwargs"):
            described |= model.loss._fn_kwargs
        return [type(model.loss).__qualname__, anonymous(described)]
    return unique(model.loss)


def _reduction(loss: Any) -> str | None:
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    return None if reduction in (None, "none") else str(reduction)


def _channels_last(layer: Any) -> bool:
    return bool(layer.axis in (-1, layer.input_spec.ndim - 1))


def unique(thing: Any) -> str:
    """A description of what describes itself in no other way: it equals itself alone."""
    return f"{type(thing).__qualname__} at {id(thing)}"
