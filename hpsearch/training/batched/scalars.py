"""Tell a model's structure from its scalars: numbers that one program takes as data.

Models of one structure train by one compiled program, each with its own scalars: dropout rates,
penalties, constraints, momentum, weight decay, clipping, label smoothing, and the numbers of a
learning rate schedule.
"""

import contextlib
import json
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from hpsearch.core.seeds import canonical_json
from hpsearch.training.base import Fit
from hpsearch.training.building import is_loss_scaling, unwrap_optimizer, without_tensorflow
from hpsearch.training.overrides import describe_network, is_of_keras, number_of_build
from hpsearch.training.schedules import KINDS, find_schedule

PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
_SMOOTHED = (keras.losses.CategoricalCrossentropy, keras.losses.BinaryCrossentropy)
_MOMENTUM = (keras.optimizers.SGD, keras.optimizers.RMSprop)
# Numbers of any optimizer, of which some exist on one kind only.
_OF_OPTIMIZERS = (
    *("weight_decay", "adam_weight_decay"),
    *("clipnorm", "global_clipnorm"),
)
# Attributes of schedules that are numbers. The factors of CosineDecayRestarts are not among them:
# they decide by a rounded logarithm when it restarts, and must be rounded as in `fit`.
_OF_SCHEDULES = (
    *("initial_learning_rate", "end_learning_rate", "warmup_target"),
    *("decay_steps", "first_decay_steps", "warmup_steps"),
    *("decay_rate", "power", "alpha"),
)
_EXACT = 2**24  # a float32 holds all whole numbers up to here

# Held while scalars are replaced: models may share a loss or a regularizer, and one model is
# compiled in a thread while others are built.
_replace_lock = threading.RLock()


class TracedScalar:
    """A traced number that Keras takes for a nonzero one.

    Keras asks whether a dropout rate or a momentum is zero, which is not known of a traced value.
    The answer is always no: what Keras then computes has no effect at zero.
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

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.value

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True)
class ScalarField:
    """Where a model holds one of its scalars.

    Args:
        owner: the layer or the optimizer it belongs to; None: the loss.
        name: what it is, as "rate"; equal for scalars of one kind.
        get: returns its value.
        set: sets its value; a traced one is a `TracedScalar`.
        part: what of the owner holds it. Layers may share a regularizer: it is a scalar of each.
    """

    owner: Any
    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]
    part: Any = None


class ModelScalars:
    """The scalars of one model, in the order of its structure.

    The learning rate is not among them: it is a variable of the optimizer. Nor is a scalar that is
    zero: Keras then leaves out what it stands for, and the structure is another. Nor one that half
    precision computes with: Keras rounds a number of its own there, but not a traced one. Only a
    schedule counts with all of its numbers.

    Args:
        model: the model.
        more: optimizers that it is trained by beside its own.
    """

    def __init__(self, model: Any, more: Sequence[Any] = ()) -> None:
        with _replace_lock:
            self.fields = list(_find_fields(model, more))
            self.values = [float(field.get()) for field in self.fields]

    def replaced_by(self, traced: Sequence[Any]) -> contextlib.AbstractContextManager[None]:
        """Inside, the model has these traced values."""
        return self._set_to([TracedScalar(value) for value in traced])

    def blanked_out(self) -> contextlib.AbstractContextManager[None]:
        """Inside, all scalars are 1: a description of the model then says its structure only."""
        return self._set_to([1.0] * len(self.fields))

    @contextlib.contextmanager
    def _set_to(self, values: Sequence[Any]) -> Iterator[None]:
        with _replace_lock:
            before = [field.get() for field in self.fields]
            for field, value in zip(self.fields, values, strict=True):
                field.set(value)
            try:
                yield
            finally:
                for field, value in zip(self.fields, before, strict=True):
                    field.set(value)


def describe_structure(
    model: Any, scalars: ModelScalars, fit: Fit, constants: Callable[[], str] | None = None
) -> str:
    """A text that is equal for two models exactly where one program can train both.

    Keras's description of a network may leave something out, as what a layer of the user's own
    does. The hyperparameters and the `build` that made the model then stand for it.

    Args:
        model: what is trained.
        scalars: its numbers that are no structure.
        fit: that it is of.
        constants: describes the values that such a model holds of its fold; None where it has none.
    """
    with scalars.blanked_out(), without_tensorflow():
        origin = [type(model).__qualname__, canonical_json(fit.params), number_of_build(fit.build)]
        origin += [len(fit.split.train), fit.most_epochs or fit.epochs]  # `build` is told these
        network = describe_network(model)
        if network is None and constants is not None:
            origin.append(constants())
        described = {
            "model": origin if network is None else strip_names(network),
            "trainable": [v.trainable for v in model.variables],
            "shapes": [[str(v.dtype), *v.shape] for v in model.variables],
            "compiled": describe_compilation(model),
            "scalars": [field.name for field in scalars.fields],
            "shared": _describe_sharing(scalars),
        }
    return json.dumps(described, sort_keys=True, default=describe_by_identity)


def _describe_sharing(scalars: ModelScalars) -> list[int]:
    """For each scalar, the first one that the same part holds."""
    firsts: dict[int, int] = {}
    return [firsts.setdefault(id(f.part or f), place) for place, f in enumerate(scalars.fields)]


def copy_loss(loss: Any) -> Any:
    """A copy of a loss whose scalars a program replaces; any other loss as it is.

    Without the copy, `fit` would train by a task's loss while a program that replaces its label
    smoothing is compiled.
    """
    if type(loss) not in _SMOOTHED:
        return loss
    return type(loss).from_config({**loss.get_config(), "dtype": loss.dtype})


def losses_of(model: Any) -> list[Any]:
    """The losses of a model's outputs."""
    loss = model.loss
    if isinstance(loss, dict):
        return list(loss.values())
    return list(loss) if isinstance(loss, list | tuple) else [loss]


def loss_reduction(loss: Any) -> str | None:
    """How a loss sums up the rows of a minibatch; None where it does not."""
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    return None if reduction in (None, "none") else str(reduction)


def has_mean_loss(model: Any) -> bool:
    """Whether the loss of a minibatch is the mean over its rows; otherwise it is their sum."""
    return loss_reduction(losses_of(model)[0]) != "sum"


def _find_fields(model: Any, more: Sequence[Any]) -> Iterator[ScalarField]:
    def field_of(owner: Any, part: Any, attribute: str, name: str) -> Iterator[ScalarField]:
        value = getattr(part, attribute, None)
        if value is None or isinstance(value, bool) or not float(value):
            return
        get, set_ = partial(getattr, part, attribute), partial(setattr, part, attribute)
        yield ScalarField(owner, name, get, set_, part)

    # Layers: dropout rates, and the penalties of weights that are trained.
    trained = {id(variable) for variable in model.trainable_variables}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Dropout) and is_of_keras(layer) and not _is_half(layer):
            yield from field_of(layer, layer, "rate", "rate")
        for variable in layer._trainable_variables:
            if variable.dtype != "float32":
                continue
            if id(variable) in trained and type(variable.regularizer) in PENALTIES:
                for factor in ("l1", "l2"):
                    name = f"{factor} of {variable.name}"
                    yield from field_of(layer, variable.regularizer, factor, name)
            if id(variable) in trained and type(variable.constraint) is keras.constraints.MaxNorm:
                name = f"max_value of {variable.name}"
                yield _traced_field(layer, variable.constraint, "max_value", name)
    # The optimizer, where it is Keras's own: another may do anything with a number.
    in_full = all(variable.dtype == "float32" for variable in model.trainable_variables)
    all_parts = [(top, part) for top in (model.optimizer, *more) for part in unwrap_optimizer(top)]
    for top, optimizer in all_parts if in_full else ():
        if not is_of_keras(optimizer, keras.optimizers.Optimizer):
            continue
        for name in _OF_OPTIMIZERS:
            if (getattr(optimizer, name, None) or 0) > 0:
                yield from field_of(top, optimizer, name, name)
        if (optimizer.clipvalue or 0) > 0:
            yield _clipping_field(top, optimizer)
        if isinstance(optimizer, _MOMENTUM):
            yield from field_of(top, optimizer, "momentum", "momentum")
        if not is_loss_scaling(optimizer):
            yield from _schedule_fields(top, find_schedule(optimizer))
    # The loss.
    smooths = type(model.loss) in _SMOOTHED and _smooths_last_axis(model.loss._fn_kwargs)
    if smooths and not computes_in_half(model):
        yield _smoothing_field(model.loss)


def _clipping_field(owner: Any, optimizer: Any) -> ScalarField:
    """The `clipvalue` of an optimizer, or of one that the owner wraps.

    Keras passes it to where only a traced value itself may go, and tests it before. So while it is
    traced, gradients are clipped here.
    """

    def set_clipvalue(value: Any) -> None:
        vars(optimizer).pop("_clip_gradients", None)
        optimizer.clipvalue = _unwrap(value)
        if isinstance(value, TracedScalar):
            most = value.value
            optimizer._clip_gradients = lambda gradients: [
                None if each is None else keras.ops.clip(each, -most, most) for each in gradients
            ]

    return ScalarField(owner, "clipvalue", lambda: optimizer.clipvalue, set_clipvalue)


def _schedule_fields(optimizer: Any, schedule: Any) -> Iterator[ScalarField]:
    """The numbers of one of Keras's schedules; none where it might compute otherwise with traced ones.

    Keras computes in the type of its first rate, which must be the one of a traced number.
    """
    if type(schedule) not in KINDS or keras.config.floatx() != "float32":
        return
    if isinstance(schedule, keras.optimizers.schedules.PiecewiseConstantDecay):
        rates, others = schedule.values, schedule.boundaries
        fields = [_item_field(optimizer, schedule, "values", i) for i in range(len(rates))]
        fields += [_item_field(optimizer, schedule, "boundaries", i) for i in range(len(others))]
    else:
        rates = [schedule.initial_learning_rate]
        found = [name for name in _OF_SCHEDULES if getattr(schedule, name, None) is not None]
        others = [getattr(schedule, name) for name in found]
        fields = [_traced_field(optimizer, schedule, name, name) for name in found]
    if all(type(rate) is float for rate in rates) and all(map(_is_exact, others)):
        yield from fields


def _is_exact(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= _EXACT)


def _traced_field(owner: Any, part: Any, attribute: str, name: str) -> ScalarField:
    """A number of a part of its owner that Keras never tests: it gets the traced value itself."""

    def set_value(value: Any) -> None:
        setattr(part, attribute, _unwrap(value))

    return ScalarField(owner, name, partial(getattr, part, attribute), set_value, part)


def _item_field(owner: Any, part: Any, name: str, index: int) -> ScalarField:
    """Likewise, an item of a list of numbers."""

    def set_item(value: Any) -> None:
        items = list(getattr(part, name))
        items[index] = _unwrap(value)
        setattr(part, name, items)

    return ScalarField(owner, f"{name} {index}", lambda: getattr(part, name)[index], set_item)


def _unwrap(value: Any) -> Any:
    return value.value if isinstance(value, TracedScalar) else value


def computes_in_half(model: Any) -> bool:
    """Whether some layers compute in half precision, as under the policy mixed_bfloat16."""
    return any(map(_is_half, model._flatten_layers()))


def _is_half(layer: Any) -> bool:
    return layer.compute_dtype in ("float16", "bfloat16")


def _smooths_last_axis(options: dict[str, Any]) -> bool:
    return bool(options.get("label_smoothing")) and options.get("axis", -1) == -1


def _smoothing_field(loss: Any) -> ScalarField:
    """The label smoothing of a loss.

    Keras takes no traced number for it. So while it is traced, the labels are smoothed here.
    """
    options, function = loss._fn_kwargs, loss.fn

    def set_smoothing(value: Any) -> None:
        traced = isinstance(value, TracedScalar)
        options["label_smoothing"] = 0.0 if traced else value
        loss.fn = _with_smoothed_labels(function, value.value) if traced else function

    get = partial(options.get, "label_smoothing")
    return ScalarField(None, "label_smoothing", get, set_smoothing)


def _with_smoothed_labels(loss: Callable[..., Any], smoothing: Any) -> Callable[..., Any]:
    """A loss that smooths labels first, by the formula that Keras documents."""

    def smoothed(y_true: Any, y_pred: Any, **options: Any) -> Any:
        y_true = keras.ops.cast(y_true, y_pred.dtype)
        classes = 2 if loss is keras.losses.binary_crossentropy else y_pred.shape[-1]
        return loss(y_true * (1.0 - smoothing) + smoothing / classes, y_pred, **options)

    return smoothed


def strip_names(config: Any) -> Any:
    """A description without what is no structure: names, seeds and initializers."""
    names: dict[str, str] = {}
    _number_names(config, names)
    return _replace_names(config, names)


def _number_names(config: Any, names: dict[str, str]) -> None:
    if _is_policy(config):
        return
    if isinstance(config, dict):
        name = config.get("name")
        if isinstance(name, str):
            names.setdefault(name, f"#{len(names)}")
        for value in config.values():
            _number_names(value, names)
    elif isinstance(config, list | tuple):
        for value in config:
            _number_names(value, names)


def _is_policy(config: Any) -> bool:
    """Whether it describes a dtype policy, whose name is structure."""
    return isinstance(config, dict) and str(config.get("class_name")).endswith("DTypePolicy")


def _replace_names(config: Any, names: dict[str, str]) -> Any:
    """Replace names where Keras has them: a layer may be called as one of its own options is."""
    if _is_policy(config):
        return config
    if isinstance(config, dict):
        return {
            key: names[value]
            if key == "name" and isinstance(value, str)
            else _replace_names(value, names)
            for key, value in config.items()
            if key != "seed" and not key.endswith("_initializer") and key != "registered_name"
        }
    if not isinstance(config, list | tuple):
        return config
    is_call = len(config) == 3 and [type(part) for part in config] == [str, int, int]
    if is_call:  # a layer, the number of its call, and that of the output
        return [names.get(config[0], config[0]), *config[1:]]
    return [_replace_names(value, names) for value in config]


def describe_compilation(model: Any) -> Any:
    """The optimizer and the loss, but for the scalars; call it while these are blanked out."""
    optimizer = describe_optimizer(model.optimizer, model.trainable_variables)
    return [*optimizer, describe_loss(model.loss)]


def describe_optimizer(optimizer: Any, weights: Sequence[Any]) -> list[Any]:
    """The optimizer of these weights but for the scalars, as `describe_compilation` has it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            config = optimizer.get_config()
    except Exception:  # of a schedule of one's own; `describe_structure` then goes by the point
        config = {}
    if not isinstance(config.get("learning_rate"), dict):  # a dict describes a schedule
        config.pop("learning_rate", None)
    kind = type(optimizer).__qualname__
    if excluded := find_undecayed_weights(optimizer, weights):
        config["exclude_from_weight_decay"] = excluded
    if not is_loss_scaling(optimizer):
        return [kind, strip_names(config)]
    config.pop("inner_optimizer", None)
    return [kind, strip_names(config), *describe_optimizer(optimizer.inner_optimizer, weights)]


def find_undecayed_weights(optimizer: Any, weights: Sequence[Any]) -> list[int]:
    """The places of the weights that `exclude_from_weight_decay` left out; no config says them."""
    if not getattr(optimizer, "weight_decay", None):
        return []
    return [n for n, weight in enumerate(weights) if not optimizer._use_weight_decay(weight)]


def describe_loss(loss: Any) -> Any:
    """The loss but for the scalars, as `describe_compilation` has it."""
    if isinstance(loss, str):
        return loss
    if isinstance(loss, dict):
        return {name: describe_loss(each) for name, each in loss.items()}
    if isinstance(loss, keras.losses.Loss):
        described = dict(loss.get_config())
        if hasattr(loss, "_fn_kwargs"):
            described |= loss._fn_kwargs
        if not is_of_keras(loss, keras.losses.Loss):  # its get_config need not say all
            known = vars(keras.losses.Loss())
            described["own"] = {name: v for name, v in vars(loss).items() if name not in known}
        return [type(loss).__qualname__, strip_names(described)]
    return describe_by_identity(loss)


def describe_by_identity(thing: Any) -> str:
    """A description of something that has no other one; no two objects have the same."""
    return f"{type(thing).__qualname__} at {id(thing)}"
