"""Calling `build`: seeded, checked, and if wanted without computing a model's first weights."""

import contextlib
import math
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from hpsearch.errors import BuildError
from hpsearch.space import Params
from hpsearch.training.base import FIT_PARAMS, Build, ModelSpec

_Array = np.ndarray[Any, Any]

_SIZES = [2**power for power in (12, 15, 18, 21, 24)]
_CONSTANTS = {keras.initializers.Zeros: 0.0, keras.initializers.Ones: 1.0}


def build_model(build: Build, spec: ModelSpec, params: Params, seed: int) -> Any:
    """The compiled model at a point; BuildError where `build` returns none."""
    arguments = {name: value for name, value in params.items() if name not in FIT_PARAMS}
    with _seeded(seed):
        model = build(spec, **arguments)
        if not isinstance(model, keras.Model):
            raise BuildError(f"build must return a compiled keras.Model, got {model!r}")
        if not model.compiled or model.optimizer is None:
            raise BuildError(
                "build returned a model that is not compiled; end it with "
                "model.compile(optimizer, loss=spec.loss, metrics=spec.metrics)"
            )
        if not model.built:
            raise BuildError(
                "build returned a model without an input shape; begin it with "
                "keras.Input(spec.input_shape)"
            )
    return model


@contextlib.contextmanager
def valueless() -> Iterator[None]:
    """Variables made inside get no value: `first_value` computes it when it is wanted.

    On other backends than JAX they get it at once. JAX compiles every initializer for every shape,
    which takes it longer than to train a small model; and of most models of a gang only the
    structure is wanted.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    original, here = keras.Variable._initialize_with_initializer, threading.get_ident()

    def keep(variable: Any, initializer: Any) -> None:
        if threading.get_ident() != here:
            original(variable, initializer)
            return
        variable._value, variable._initializer = None, _Deferred(initializer)

    keras.Variable._initialize_with_initializer = keep
    try:
        yield
    finally:
        keras.Variable._initialize_with_initializer = original


def first_value(variable: Any) -> _Array:
    """What the variable was given, or what its initializer gives; as without `valueless`."""
    if variable._value is not None:
        return np.asarray(variable._value)
    initializer = variable._initializer.real
    constant = _CONSTANTS.get(type(initializer))
    if constant is not None:
        return np.full(variable.shape, constant, variable.dtype)
    with _drawn_in_few_sizes():
        return np.asarray(initializer(variable.shape, dtype=variable.dtype))


def parts(model: Any) -> tuple[Any, Any, Any]:
    """A built model's variables: those it trains, the others, and its optimizer's."""
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def seed_backend(seed: int) -> None:
    """Seed the backend's global generator, where it has one."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.random.set_seed(seed)
    elif keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(seed)


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """Describing, saving or loading a model, Keras looks for TensorFlow, and takes seconds to import it."""
    lazy = keras.src.utils.module_utils.tensorflow
    wanted = lazy._available is None and "tensorflow" not in sys.modules
    if wanted:
        lazy._available = False
    try:
        yield
    finally:
        if wanted:
            lazy._available = None


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed what Keras draws its layers' seeds from; Python's and NumPy's generators stay as they were.

    `keras.utils.set_random_seed` is not used: it imports TensorFlow whatever the backend is.
    """
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    seed_backend(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


class _Deferred:
    """Stands for an initializer while a model's shapes are inferred."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.zeros(shape, dtype)


@contextlib.contextmanager
def _drawn_in_few_sizes() -> Iterator[None]:
    """Draw random arrays flat, of one of few sizes, and cut them to size; in this thread.

    JAX's numbers depend on key and place alone, whatever the size, so they are the same; and it
    compiles a program for each size.
    """
    module = keras.src.backend.random
    originals = {name: getattr(module, name) for name in ("uniform", "normal", "truncated_normal")}
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
