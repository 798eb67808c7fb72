"""What a study's own callbacks have in mind, kept in checkpoints without pickle.

A callback's state are the attributes that it changed since its `on_train_begin`. Numbers, texts,
arrays, and lists, tuples and dicts of these are written as JSON and plain arrays. A callback that
changes anything else has `get_state()` and `set_state(state)`, or is refused.
"""

import collections
import hashlib
import json
import random
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hpsearch.core.errors import BuildError
from hpsearch.training.history import KeptCallbacks

_Array = np.ndarray[Any, Any]

_PLAIN = (type(None), bool, int, float, str)
# Keras finds these out anew in the first epoch of a fit; kept, `min_delta` would be negated twice.
_FOUND_ANEW = {"monitor_op", "min_delta"}
_OF_FIT = {"params", "_model"}  # set by `fit` before it begins


class _NotPlain(Exception):
    """A value is not a number, a text, an array, or made of these."""


class CallbackStates:
    """Follows what a fit's callbacks change: `begin -> collect -> collect ...`

    Args:
        callbacks: those of the study, in the order in which they are called.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._callbacks = list(callbacks)
        self._names = [type(callback).__qualname__ for callback in callbacks]
        self._at_begin: list[dict[str, Any]] = []
        self._restored: list[set[str]] = [set() for _ in self._callbacks]
        self._alive: list[Any] = []  # an object that is gone could lend its id to another

    def begin(self, kept: KeptCallbacks | None) -> bool:
        """Note how the callbacks begin, after each one's `on_train_begin`; then restore them.

        Returns whether the kept states are of callbacks of these classes; others are not restored.
        """
        for callback in self._callbacks:
            described = {name: _describe(value, callback) for name, value in _attributes(callback)}
            self._at_begin.append(described)
            self._alive.append(dict(vars(callback)))
        if kept is None or not self._callbacks:
            return True
        if kept.names != self._names:
            return False
        restored = zip(self._callbacks, kept.states, self._restored, strict=True)
        for callback, encoded, names in restored:
            state = _decode(encoded, kept.arrays)
            if _own_methods(callback):
                callback.set_state(state)
                continue
            names.update(state)
            for name, value in state.items():
                if not callable(getattr(type(callback), name, None)):  # never a method's place
                    vars(callback)[name] = value
        return True

    def collect(self) -> KeptCallbacks:
        """The states now. Raises BuildError where one cannot be kept."""
        kept = KeptCallbacks(self._names, [])
        begun = zip(self._callbacks, self._at_begin, self._restored, strict=True)
        for callback, at_begin, restored in begun:
            if _own_methods(callback):
                kept.states.append(_encode_own_state(callback, kept.arrays))
                continue
            changed = {
                name: value
                for name, value in _attributes(callback)
                # In a later phase the callbacks begin with what an earlier one left.
                if name in restored or at_begin.get(name) != _describe(value, callback)
            }
            of_keras = _names_of_keras(type(callback))
            state = {}
            for name, value in changed.items():
                if name in of_keras and name in _FOUND_ANEW:
                    continue
                try:
                    state[name] = _encode(value, kept.arrays)
                except _NotPlain:
                    if name not in of_keras:  # Keras makes anew what it needs
                        raise _refuse_attribute(callback, name, value) from None
            kept.states.append({"dict": [list(item) for item in state.items()]})
        return kept


def _attributes(callback: Any) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(callback).items() if name not in _OF_FIT)


def _own_methods(callback: Any) -> bool:
    """Whether it keeps its state itself; BuildError where it has one method of the two."""
    found = [callable(getattr(callback, name, None)) for name in ("get_state", "set_state")]
    if any(found) and not all(found):
        raise BuildError(
            f"the callback {type(callback).__name__} has only one of get_state() and "
            "set_state(state); give it both"
        )
    return all(found)


def _encode_own_state(callback: Any, arrays: list[_Array]) -> Any:
    state = callback.get_state()
    try:
        if not isinstance(state, dict):
            raise _NotPlain
        return _encode(dict(state), arrays)
    except _NotPlain:
        raise BuildError(
            f"get_state() of the callback {type(callback).__name__} must return a dict of numbers, "
            "texts, NumPy arrays, and lists, tuples and dicts of these"
        ) from None


def _refuse_attribute(callback: Any, name: str, value: Any) -> BuildError:
    article = "an" if type(value).__name__[0] in "aeiouAEIOU" else "a"
    return BuildError(
        f"the callback {type(callback).__name__} changes its attribute {name} ({article} "
        f"{type(value).__name__}) while it trains, which a checkpoint cannot hold; make it anew in "
        "on_train_begin, or give the callback get_state() and set_state(state) that return and take "
        "a dict of numbers, texts and NumPy arrays"
    )


def _names_of_keras(kind: type) -> set[str]:
    """The attributes that Keras's own part of a callback's class uses."""
    return {
        name
        for base in kind.__mro__
        if base.__module__.startswith("keras.")
        for function in vars(base).values()
        if isinstance(function, types.FunctionType)
        for name in function.__code__.co_names
    }


def _encode(value: Any, arrays: list[_Array]) -> Any:
    """A value as JSON can hold it; its arrays are added to `arrays`. Raises _NotPlain."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is np.ndarray or isinstance(value, np.generic):
        array, name = np.asarray(value, order="C"), value.dtype.str
        if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 and similar ones
            name, array = value.dtype.name, array.astype(np.float32)
        if array.dtype.kind not in "biuf":
            raise _NotPlain
        arrays.append(array)
        return {"array": len(arrays) - 1, "dtype": name, "scalar": kind is not np.ndarray}
    if kind in (list, tuple):
        return {kind.__name__: [_encode(each, arrays) for each in value]}
    if kind is dict:
        items = [[_encode(key, arrays), _encode(each, arrays)] for key, each in value.items()]
        return {"dict": items}
    raise _NotPlain


def _decode(encoded: Any, arrays: Sequence[_Array]) -> Any:
    """The inverse of `_encode`. Raises any error where it is not what that returned."""
    if not isinstance(encoded, dict):
        return encoded
    if "array" in encoded:
        array = arrays[encoded["array"]].astype(np.dtype(encoded["dtype"]))  # a copy, to write to
        return array[()] if encoded["scalar"] else array
    if "dict" in encoded:
        return {_decode(key, arrays): _decode(each, arrays) for key, each in encoded["dict"]}
    ((kind, values),) = encoded.items()
    return {"list": list, "tuple": tuple}[kind](_decode(each, arrays) for each in values)


def check(kept: KeptCallbacks) -> None:
    """Raise any error where states from a file are not what `collect` returned."""
    if len(kept.names) != len(kept.states):
        raise ValueError("a state is missing")
    for state in kept.states:
        if not all(type(name) is str for name in _decode(state, kept.arrays)):
            raise ValueError("a state is no dict of attributes")


def _describe(value: Any, callback: Any, around: tuple[int, ...] = ()) -> Any:
    """What differs once a value has changed, also in place.

    Of an object that is not plain, what it holds counts where it is a container, a random generator
    or another callback, or its class stands beside the callback's; else only which object it is.
    """
    arrays: list[_Array] = []
    try:
        text = json.dumps(_encode(value, arrays))
        return text, [hashlib.blake2b(array.tobytes()).digest() for array in arrays]
    except (_NotPlain, RecursionError):
        pass
    if id(value) in around:
        return id(value)

    def inside(values: Any) -> list[Any]:
        return [_describe(each, callback, (*around, id(value))) for each in values]

    if isinstance(value, dict):
        return id(value), inside(value), inside(value.values())
    if isinstance(value, list | tuple | collections.deque):
        return id(value), inside(value)
    if isinstance(value, set | frozenset):
        return id(value), sorted(map(repr, inside(value)))
    if isinstance(value, np.random.Generator):
        return id(value), repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return id(value), repr(value.get_state())
    if isinstance(value, random.Random):
        return id(value), value.getstate()
    beside = type(value).__module__ == type(callback).__module__
    import keras  # here: checkpoints of training functions do without it

    if isinstance(value, keras.callbacks.Callback) or (
        beside
        and not isinstance(value, type | types.FunctionType | types.ModuleType | keras.layers.Layer)
    ):
        held = {n: v for n, v in getattr(value, "__dict__", {}).items() if n not in _OF_FIT}
        return id(value), sorted(held), inside(held[name] for name in sorted(held))
    return id(value)
