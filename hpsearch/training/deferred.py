"""Variables whose first values are computed when somebody reads them.

JAX compiles every initializer for every shape, which takes it longer than to train a small model;
and of most models that train side by side only the structure is wanted.
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
_PLAIN = (bool, int, float, str, type(None))

_thread = threading.local()
_drawing = threading.RLock()  # while Keras's functions are replaced


@contextlib.contextmanager
def deferred_initialization() -> Iterator[None]:
    """Variables made inside, by this thread, compute their first value when it is first read.

    The value is the one that they would have got at once: only initializers that are known to give
    the same whenever they are called are put off, all others run at once; and all do on other
    backends than JAX.
    """
    known = keras.backend.backend() == "jax" and keras_internals.missing() is None
    if not known or keras.config.is_nnx_enabled():
        yield
        return
    original, here = keras.Variable._initialize_with_initializer, threading.get_ident()

    def defer(variable: Any, initializer: Any) -> None:
        if (
            threading.get_ident() != here
            or type(variable) is not keras.Variable  # has a way of its own to keep its value
            or keras.distribution.distribution() is not None
            or variable._layout is not None
            or not _is_repeatable(initializer)
        ):
            original(variable, initializer)
            return
        variable.__dict__.pop("_value", None)
        variable._deferred = copy.deepcopy(initializer)  # as it is now
        variable.__class__ = _Unread

    keras.Variable._initialize_with_initializer = defer
    try:
        yield
    finally:
        keras.Variable._initialize_with_initializer = original


@contextlib.contextmanager
def placeholders() -> Iterator[None]:
    """In this thread, variables not read yet are zeros: enough where shapes alone are followed."""
    before, _thread.placeholders = getattr(_thread, "placeholders", False), True
    try:
        yield
    finally:
        _thread.placeholders = before


def first_value(variable: Any) -> _Array:
    """A variable's value as an array; one that was not read yet stays so, and takes no memory."""
    initializer = variable.__dict__.get("_deferred")  # once: another thread may give it a value
    if type(variable) is not _Unread or initializer is None:
        return np.asarray(variable._value)
    shape, dtype = variable._shape, variable._dtype
    constant = _CONSTANTS.get(type(initializer))
    if constant is not None:
        return np.full(shape, constant, dtype)
    with _drawn_in_few_sizes():
        return np.asarray(initializer(shape, dtype=dtype))


class _Unread(keras.Variable):  # type: ignore[misc]
    """A variable without a value yet; whatever reads it, or gives it one, makes it an ordinary one.

    All that Keras does with a variable's value goes by `_value`, so that nothing can miss it.
    """

    @property
    def _value(self) -> Any:
        if getattr(_thread, "placeholders", False):
            return keras.ops.zeros(self._shape, self._dtype)
        import jax

        # JAX may be tracing a function, which must find a value here, not a part of its trace.
        with jax.ensure_compile_time_eval():
            self._value = jax.numpy.array(first_value(self))  # a copy: its memory may be reused
        return self._value

    @_value.setter
    def _value(self, value: Any) -> None:
        # In this order: whatever another thread reads in between, it finds one or the other.
        self.__dict__["_value"] = value
        self.__class__ = keras.Variable
        self.__dict__.pop("_deferred", None)


def _is_repeatable(initializer: Any) -> bool:
    """Whether it gives the same value whenever it is called, and changes nothing.

    True for Keras's own with numbers alone: not where it draws from a generator with a state, nor
    where it is a function, of which nothing is known; but for the one that Keras's LSTM has.
    """
    kind = type(initializer)
    if getattr(initializer, "__qualname__", None) == _LSTM_BIAS:
        initializer = getattr(initializer.__closure__[0].cell_contents, "bias_initializer", None)
        kind = type(initializer)
    return kind.__module__.startswith("keras.src.initializers.") and all(
        map(_is_plain, vars(initializer).values())
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (
        isinstance(value, list | tuple) and all(map(_is_plain, value))
    )


@contextlib.contextmanager
def _drawn_in_few_sizes() -> Iterator[None]:
    """Draw random arrays flat, of one of few sizes, and cut them to size; in this thread.

    JAX's numbers depend on key and place alone, whatever the size, so they are the same; and it
    compiles a program for each size.
    """
    module = keras.src.backend.random
    with _drawing:
        originals = {
            name: getattr(module, name) for name in ("uniform", "normal", "truncated_normal")
        }
        for name, draw in originals.items():
            setattr(module, name, _rounded(draw, threading.get_ident()))
        try:
            yield
        finally:
            for name, draw in originals.items():
                setattr(module, name, draw)


def _rounded(draw: Any, here: int) -> Any:
    def drawn(shape: Any, *args: Any, **kwargs: Any) -> Any:
        count = math.prod(shape)
        if threading.get_ident() != here or count > _SIZES[-1]:
            return draw(shape, *args, **kwargs)
        size = next(size for size in _SIZES if size >= count)
        return np.asarray(draw((size,), *args, **kwargs))[:count].reshape(shape)

    return drawn
