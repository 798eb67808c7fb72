"""What of a model is structure, and what are mere numbers that one program takes as data.

Two models of one structure train by one compiled program, each with its own numbers.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from hpsearch.core.seeds import canonical_json
from hpsearch.training.base import Fit
from hpsearch.training.building import without_tensorflow
from hpsearch.training.overrides import build_number, description, is_of_keras

PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
_SMOOTHED = (keras.losses.CategoricalCrossentropy, keras.losses.BinaryCrossentropy)
_MOMENTUM = (keras.optimizers.SGD, keras.optimizers.RMSprop)

# Models may share a loss or a regularizer, and one is compiled while others are built.
_replacing = threading.RLock()


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
    """Where a number is kept in a model.

    layer: whose it is; None: the optimizer's or the loss's.
    """

    layer: Any
    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]


class Numbers:
    """The numbers of one model that its program takes as data, in the order of its structure.

    The learning rate is not among them: it is a variable of the optimizer.
    """

    def __init__(self, model: Any) -> None:
        with _replacing:
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
        with _replacing:
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
        itself = [type(model).__qualname__, canonical_json(fit.params), build_number(fit.build)]
        network = description(model)
        described = {
            "model": itself if network is None else anonymous(network),
            "trainable": [v.trainable for v in model.variables],
            "shapes": [[str(v.dtype), *v.shape] for v in model.variables],
            "compiled": described_compilation(model),
            "numbers": [place.name for place in numbers.places],
        }
    return json.dumps(described, sort_keys=True, default=unique)


def own_loss(loss: Any) -> Any:
    """A loss for one model, where a program replaces numbers in it; any other as it is.

    Else `fit` would train by a task's loss while a program that replaces its numbers is compiled.
    """
    if type(loss) not in _SMOOTHED:
        return loss
    return type(loss).from_config({**loss.get_config(), "dtype": loss.dtype})


def loss_reduction(loss: Any) -> str | None:
    """How a loss sums up the rows of a batch; None where it leaves them as they are."""
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    return None if reduction in (None, "none") else str(reduction)


def loss_is_mean(model: Any) -> bool:
    """Whether the loss of a batch is the mean over its rows; else it is their sum."""
    return loss_reduction(model.loss) != "sum"


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
    # One of the user's own may ask anything of them.
    optimizer_is_of_keras = is_of_keras(model.optimizer, keras.optimizers.Optimizer)
    if optimizer_is_of_keras:
        yield from of(None, model.optimizer, "weight_decay", "weight_decay")
    if optimizer_is_of_keras and isinstance(model.optimizer, _MOMENTUM):
        yield from of(None, model.optimizer, "momentum", "momentum")
    if type(model.loss) in _SMOOTHED and _smooths_last_axis(model.loss._fn_kwargs):
        yield _place_of_smoothing(model.loss)


def _smooths_last_axis(options: dict[str, Any]) -> bool:
    return bool(options.get("label_smoothing")) and options.get("axis", -1) == -1


def _place_of_smoothing(loss: Any) -> Place:
    """How far a loss smooths labels.

    Keras takes no traced number for it, so that labels are then smoothed here.
    """
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


def unique(thing: Any) -> str:
    """A description of what describes itself in no other way: it equals itself alone."""
    return f"{type(thing).__qualname__} at {id(thing)}"
