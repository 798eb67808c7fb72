"""Calling `build`: seeded, and checked."""

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from hpsearch.core.errors import BuildError
from hpsearch.core.space import Params
from hpsearch.training.base import FIT_PARAMS, Build, ModelSpec


def _ignore_refusal(layer: Any, value: bool) -> None:
    layer.__dict__["supports_jit"] = True


_IMAGE_LAYERS = (
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)
_ALWAYS = property(lambda layer: True, _ignore_refusal)


def build_model(build: Build, spec: ModelSpec, params: Params, seed: int) -> Any:
    """The compiled model at a point; BuildError where `build` returns none."""
    arguments = {name: value for name, value in params.items() if name not in FIT_PARAMS}
    with _seeded(seed), images_compiled_by_jax():
        model = build(spec, **arguments)
        if not isinstance(model, keras.Model):
            raise BuildError(f"build must return a compiled keras.Model, got {model!r}")
        if not model.compiled or model.optimizer is None:
            raise BuildError(
                "build returned a model that is not compiled; end it with "
                "model.compile(optimizer, loss=spec.loss, metrics=spec.metrics)"
            )
        if not all(layer.built for layer in model._flatten_layers()):
            _infer_shapes(model, spec)
        if not model.built:
            raise BuildError(
                "build returned a model without an input shape; begin it with "
                "keras.Input(spec.input_shape)"
            )
    return model


@contextlib.contextmanager
def images_compiled_by_jax() -> Iterator[None]:
    """Layers that turn images, made inside, may be part of a compiled step on JAX.

    Keras says of them that they may not, on whatever backend, because TensorFlow's XLA cannot. On
    JAX a model that has one would then train and predict operation by operation, many times slower.
    """
    kinds = _IMAGE_LAYERS if keras.backend.backend() == "jax" else ()
    for kind in kinds:
        kind.supports_jit = _ALWAYS
    try:
        yield
    finally:
        for kind in kinds:
            del kind.supports_jit


def _infer_shapes(model: Any, spec: ModelSpec) -> None:
    """Make the variables of a model that knows its input by being called; as `fit` does it.

    Here, because the model is seeded, counted and restored before it is fitted.
    """

    def rows(shape: Any, dtype: str) -> Any:
        is_float = np.dtype(dtype).kind == "f"
        return keras.KerasTensor((2, *shape), keras.config.floatx() if is_float else dtype)

    shapes, dtypes = spec.input_shape, spec.dtype
    if isinstance(shapes, dict):
        named = dtypes if isinstance(dtypes, dict) else dict.fromkeys(shapes, dtypes)
        x = {name: rows(shape, named[name]) for name, shape in shapes.items()}
    else:
        x = rows(shapes, dtypes)
    keras.src.backend.compute_output_spec(model, x, training=False)


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
    """Keep Keras from importing TensorFlow to describe, save or load a model: it takes seconds."""
    try:
        lazy = keras.src.utils.module_utils.tensorflow
        wanted = lazy._available is None and "tensorflow" not in sys.modules
    except AttributeError:  # another Keras; it is only slower
        yield
        return
    if wanted:
        lazy._available = False
    try:
        yield
    finally:
        if wanted:
            lazy._available = None


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed what Keras draws its layers' seeds from; Python's and NumPy's generators stay as is.

    `keras.utils.set_random_seed` is not used: it imports TensorFlow whatever the backend is. As it
    does, Keras's own generator begins anew: what it drew for earlier models must not matter.
    """
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    seed_backend(seed)
    _forget_global_generator()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _forget_global_generator() -> None:
    """Keras makes its own generator anew, by the seed of now, when it is wanted."""
    try:
        name = keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR
        keras.src.backend.common.global_state.set_global_attribute(name, None)
    except AttributeError:  # another Keras: its documented way forgets more
        keras.utils.clear_session(free_memory=False)
