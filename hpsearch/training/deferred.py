"""Compute the first values of variables only when they are read.

JAX compiles every initializer for every shape, which takes longer than training a small model. And
of most models that train side by side only the structure is needed.
"""

import contextlib
import copy
import math
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from hpsearch.training import keras_internals

_Array = np.ndarray[Any, Any]

_SIZES = [2**power for power in (12, 15, 18, 21, 24)]
_CONSTANTS = {keras.initializers.Zeros: 0.0, keras.initializers.Ones: 1.0}
_LSTM_BIAS = "LSTMCell.build.<locals>.bias_initializer"  # zeros, but ones for the forget gate
_PLAIN_TYPES = (bool, int, float, str, type(None))

_thread = threading.local()
_draw_lock = threading.RLock()  # held while Keras's functions are replaced


@contextlib.contextmanager
def deferred_initialization() -> Iterator[None]:
    """Inside, variables that this thread makes compute their first value when it is first read.

    The value is the same as without deferring: an initializer is deferred only if it is known to
    give the same value whenever it is called. On other backends than JAX, none is.
    """
    known = keras.backend.backend() == "jax" and keras_internals.missing() is None
    if not known or keras.config.is_nnx_enabled():
        yield
        return
    original, here = keras.Variable._initialize_with_initializer, threading.get_ident()

    def defer(variable: Any, initializer: Any) -> None:
        if (
            threading.get_ident() != here
            or type(variable) is not keras.Variable  # a subclass may hold its value in another way
            or keras.distribution.distribution() is not None
            or variable._layout is not None
            or not _is_repeatable(initializer)
        ):
            original(variable, initializer)
            return
        variable.__dict__.pop("_value", None)
        variable._deferred = copy.deepcopy(initializer)  # as it is now
        variable.__class__ = _DeferredVariable

    keras.Variable._initialize_with_initializer = defer
    try:
        yield
    finally:
        keras.Variable._initialize_with_initializer = original


@contextlib.contextmanager
def read_as_placeholders() -> Iterator[None]:
    """In this thread, deferred variables read as zeros: enough where only shapes matter."""
    before, _thread.placeholders = getattr(_thread, "placeholders", False), True
    try:
        yield
    finally:
        _thread.placeholders = before


def compute_first_value(variable: Any) -> _Array:
    """A variable's value as an array; a deferred variable stays deferred, and takes no memory."""
    initializer = variable.__dict__.get("_deferred")  # read once: another thread may set its value
    if type(variable) is not _DeferredVariable or initializer is None:
        return np.asarray(variable._value)
    shape, dtype = variable._shape, variable._dtype
    constant = _CONSTANTS.get(type(initializer))
    if constant is not None:
        return np.full(shape, constant, dtype)
    with _draw_in_few_sizes():
        return np.asarray(initializer(shape, dtype=dtype))


class _DeferredVariable(keras.Variable):  # type: ignore[misc]
    """A variable without a value yet; reading or setting its value makes it an ordinary one.

    Keras accesses a variable's value only through `_value`.
    """

    @property
    def _value(self) -> Any:
        if getattr(_thread, "placeholders", False):
            return keras.ops.zeros(self._shape, self._dtype)
        import jax

        # While JAX traces a function, the value must be a constant, not a part of the trace.
        with jax.ensure_compile_time_eval():
            self._value = jax.numpy.array(
                compute_first_value(self)
            )  # a copy: its memory may be reused
        return self._value

    @_value.setter
    def _value(self, value: Any) -> None:
        # In this order, so that another thread finds the value or the initializer at any moment.
        self.__dict__["_value"] = value
        self.__class__ = keras.Variable
        self.__dict__.pop("_deferred", None)


def _is_repeatable(initializer: Any) -> bool:
    """Whether it gives the same value whenever it is called, and changes nothing.

    This is so for Keras's own initializers whose options are plain values. It is not so where one
    draws from a generator with a state, nor for a function, except that of Keras's LSTM.
    """
    kind = type(initializer)
    if getattr(initializer, "__qualname__", None) == _LSTM_BIAS:
        initializer = getattr(initializer.__closure__[0].cell_contents, "bias_initializer", None)
        kind = type(initializer)
    return kind.__module__.startswith("keras.src.initializers.") and all(
        map(_is_plain, vars(initializer).values())
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN_TYPES) or (
        isinstance(value, list | tuple) and all(map(_is_plain, value))
    )


@contextlib.contextmanager
def _draw_in_few_sizes() -> Iterator[None]:
    """In this thread, draw random arrays flat, in one of few sizes, and cut them to size.

    JAX compiles a program for each size. Its random numbers depend on key and place alone, so they
    are the same whatever the size.
    """
    module = keras.src.backend.random
    with _draw_lock:
        originals = {
            name: getattr(module, name) for name in ("uniform", "normal", "truncated_normal")
        }
        for name, draw in originals.items():
            setattr(module, name, _in_rounded_size(draw, threading.get_ident()))
        try:
            yield
        finally:
            for name, draw in originals.items():
                setattr(module, name, draw)


def _in_rounded_size(draw: Any, here: int) -> Any:
    def drawn(shape: Any, *args: Any, **kwargs: Any) -> Any:
        count = math.prod(shape)
        if threading.get_ident() != here or count > _SIZES[-1]:
            return draw(shape, *args, **kwargs)
        size = next(size for size in _SIZES if size >= count)
        return np.asarray(draw((size,), *args, **kwargs))[:count].reshape(shape)

    return drawn
