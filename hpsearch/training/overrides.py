"""Find what a model, or a part of it, overrides of Keras.

Any name of Keras's base class counts, except a few that training never uses.
"""

import functools
import itertools
import warnings
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import keras

from hpsearch.training.base import Build, WatchedBuild
from hpsearch.training.building import without_tensorflow

# Names that describe a class or an object, and that training does not use.
_HARMLESS = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__"),
    *("__init__", "__repr__", "__str__", "build", "quantize", "summary"),
    *("get_config", "from_config", "get_build_config", "build_from_config"),
}
_FUNCTIONS = {"train_function", "test_function", "predict_function"}  # attributes of a model

_build_numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_next_number = itertools.count()
# For each model asked about, whether Keras describes it fully: finding out takes long.
_described_fully: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def find_override(thing: Any, base: type, *harmless: str) -> str | None:
    """The first override of Keras's `base`, as "Own has a train_step of its own"; None: none."""
    for name in _find_overrides(thing, base):
        if name not in harmless:
            article = "an" if name[0] in "aeiou" else "a"
            return f"{type(thing).__name__} has {article} {name} of its own"
    return None


def is_of_keras(thing: Any, base: type = keras.layers.Layer) -> bool:
    """Whether an object's class is Keras's own, with none of its methods replaced."""
    kind = type(thing)
    return kind.__module__.startswith("keras.src.") and not any(_find_overrides(thing, base))


def is_described_fully(model: Any) -> bool:
    """Whether Keras's description of a network says all that it computes."""
    if model not in _described_fully:
        describe_network(model)
    return _described_fully[model]


def describe_network(model: Any) -> Any:
    """Keras's description of a network; None where it may not say all that the network computes.

    It may not where any part of the network is not Keras's own.
    """
    described = _describe(model)
    _described_fully[model] = described is not None
    return described


def _describe(model: Any) -> Any:
    network = isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"
    losses = model.loss.values() if isinstance(model.loss, dict) else [model.loss]
    if (
        not network
        or not is_of_keras(model, keras.Model)
        or not all(map(is_of_keras, model._flatten_layers(include_self=False)))
        or not all(
            is_of_keras(loss, keras.losses.Loss)
            for loss in losses
            if isinstance(loss, keras.losses.Loss)
        )
    ):
        return None
    try:
        with without_tensorflow(), warnings.catch_warnings(action="ignore"):
            config = model.get_config()
            compiled = keras.saving.serialize_keras_object(model.optimizer)
    except Exception:  # such as an activation whose source Keras cannot find
        return None
    return None if _has_own_functions([config, compiled]) else config


def number_of_build(build: Build) -> int:
    """A number for a study's `build`, watched or not; no two builds ever have the same one."""
    if isinstance(build, WatchedBuild):
        build = build.original
    try:
        return _build_numbers.setdefault(build, next(_next_number))
    except TypeError:  # no weak reference: its life cannot be known
        return next(_next_number)


def _has_own_functions(config: Any) -> bool:
    """Whether a description names functions or classes that are not Keras's own."""
    if isinstance(config, dict):
        module, name = config.get("module"), config.get("registered_name")
        if config.get("class_name") in ("function", "__lambda__"):
            return True
        if (isinstance(module, str) and not module.startswith("keras")) or (
            isinstance(name, str) and ">" in name
        ):
            return True
        return any(map(_has_own_functions, config.values()))
    return isinstance(config, list | tuple) and any(map(_has_own_functions, config))


def _find_overrides(thing: Any, base: type) -> Iterator[str]:
    of_class, of_object = _names_of(base)
    for kind in type(thing).__mro__:
        if kind not in base.__mro__ and not kind.__module__.startswith("keras.src."):
            yield from (name for name in vars(kind) if name in of_class)
    for name, value in vars(thing).items():
        if name in of_object and callable(value) and not _is_made_by_keras(value):
            yield name


@functools.cache
def _names_of(base: type) -> tuple[set[str], set[str]]:
    """The names that count in a class derived from one of Keras's, and in an object of it."""
    names = set(dir(base)) - _HARMLESS
    return names, names | _FUNCTIONS


def _is_made_by_keras(value: Any) -> bool:
    module = getattr(value, "__module__", None) or type(value).__module__
    return str(module).startswith("keras.src.")
