"""Call `build`, seeded, and check what it returns."""

import contextlib
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from hpsearch.core.errors import BuildError
from hpsearch.core.space import Params
from hpsearch.training.base import Build, ModelSpec, Phase, Phases
from hpsearch.training.point_parameters import FIT_PARAMS, leave_to_preprocessing


def _ignore_refusal(layer: Any, value: bool) -> None:
    layer.__dict__["supports_jit"] = True


_IMAGE_LAYERS = (
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)
_UNREPEATABLE = getattr(keras.layers, "AugMix", ())
_STATEFUL = (
    "keeps its state from one minibatch to the next (stateful=True), but rows are shuffled and cut "
    "into folds, so that the state would come from rows that are no past of theirs; leave stateful "
    "out and give each row the steps that it needs, or train with a function of your own (train=)"
)
_ALWAYS = property(lambda layer: True, _ignore_refusal)


def build_model(build: Build, spec: ModelSpec, params: Params, seed: int) -> Any:
    """Build the compiled model at a point, that of the first phase where it has several.

    Raises BuildError where `build` returns something else, or several outputs are not the task's.
    """
    return call_build(build, spec, params, seed)[0]


def call_build(
    build: Build, spec: ModelSpec, params: Params, seed: int
) -> tuple[Any, Sequence[Phase]]:
    """The compiled model at a point, and the phases where there are several; the first has begun."""
    wanted = leave_to_preprocessing(build, params, spec.preprocessing)
    arguments = {name: value for name, value in wanted.items() if name not in FIT_PARAMS}
    with _seeded(seed), images_compiled_by_jax(), _explain_stateful():
        model, phases = build(spec, **arguments), ()
        if isinstance(model, Phases):
            model, phases = model[0].start(), model
        check_model(model, spec)
    return model, phases


def start_phase(phase: Phase, seed: int) -> Any:
    """The model of a phase that begins now; seed: of what it draws."""
    with _seeded(seed), images_compiled_by_jax(), _explain_stateful():
        return phase.start()


def check_model(model: Any, spec: ModelSpec) -> None:
    """Raise BuildError for what is no compiled model of the task; infer its shapes if need be."""
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
    _check_outputs(model, spec)
    _check_texts(model, spec)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.RNN) and layer.stateful:
            raise BuildError(f"a layer {type(layer).__name__} {_STATEFUL}")
    if any(isinstance(layer, _UNREPEATABLE) for layer in model._flatten_layers()):
        raise BuildError(
            "a layer AugMix draws from Python's own generator, which no checkpoint holds; use "
            "RandAugment"
        )


@contextlib.contextmanager
def _explain_stateful() -> Iterator[None]:
    """Inside, refuse a stateful layer before Keras asks for a fixed minibatch, which is no way out."""
    try:
        yield
    except ValueError as error:
        if "stateful" not in str(error):
            raise
        raise BuildError(f"a layer {_STATEFUL}") from None


def _check_texts(model: Any, spec: ModelSpec) -> None:
    """Raise BuildError where texts would reach a model of one input that takes numbers."""
    tensors = list(getattr(model, "inputs", None) or [])
    if spec.dtype == "string" and any(str(tensor.dtype) != "string" for tensor in tensors):
        raise BuildError(
            f"x gives texts, and the model takes {tensors[0].dtype}; begin it with "
            "keras.Input(spec.input_shape, dtype='string') and a layer that looks words up, as "
            "spec.adapt(keras.layers.TextVectorization(...)), or turn them into numbers by "
            "Task(preprocess=)"
        )


def _check_outputs(model: Any, spec: ModelSpec) -> None:
    """Raise BuildError where the outputs' names or loss weights are not the task's."""
    outputs = getattr(model, "output", None)
    if not isinstance(spec.outputs, dict) or outputs is None:
        return  # a subclassed model's are only known once it is called; Keras compares them then
    names = list(outputs) if isinstance(outputs, dict) else list(model.output_names)
    if sorted(names) != sorted(spec.outputs):
        raise BuildError(
            f"the task has the outputs {', '.join(spec.outputs)}, and the model {', '.join(names)}; "
            "name the output layers so, or return a dict of outputs from the model"
        )
    given = model._compile_loss._user_loss_weights
    if isinstance(given, list | tuple):
        given = dict(zip(model.output_names, given, strict=False))
    if (dict.fromkeys(names, 1.0) if given is None else given) != spec.loss_weights:
        raise BuildError(
            "the model is compiled with other loss_weights than the task's; compile it with "
            "loss_weights=spec.loss_weights"
        )


@contextlib.contextmanager
def images_compiled_by_jax() -> Iterator[None]:
    """Inside, layers that transform images are made so that JAX compiles them.

    Keras marks them as not compilable on every backend, because TensorFlow's XLA cannot compile
    them. On JAX a model with one would then train operation by operation, many times slower.

    Such blocks may lie in each other, as where a build loads a kept model, and in several threads.
    """
    kinds = _IMAGE_LAYERS if keras.backend.backend() == "jax" else ()
    with _image_blocks.lock:
        _image_blocks.open += 1
        for kind in kinds:
            kind.supports_jit = _ALWAYS
    try:
        yield
    finally:
        with _image_blocks.lock:
            _image_blocks.open -= 1
            for kind in kinds if _image_blocks.open == 0 else ():
                del kind.supports_jit


class _OpenBlocks:
    """How many blocks are open, in all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = 0


_image_blocks = _OpenBlocks()


@contextlib.contextmanager
def replaced_calls(calls: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Inside, these layers are called in another way."""
    for layer, call in calls.items():
        layer.call = call
    try:
        yield
    finally:
        for layer in calls:
            del layer.call


def _infer_shapes(model: Any, spec: ModelSpec) -> None:
    """Make the variables of a model that learns its input's shape when called, as `fit` does.

    This is done before `fit`, because the model is seeded, counted and restored before it.
    """

    def rows(shape: Any, dtype: str) -> Any:
        is_float = dtype != "string" and np.dtype(dtype).kind == "f"
        return keras.KerasTensor((2, *shape), keras.config.floatx() if is_float else dtype)

    shapes, dtypes = spec.input_shape, spec.dtype
    if isinstance(shapes, dict):
        named = dtypes if isinstance(dtypes, dict) else dict.fromkeys(shapes, dtypes)
        x = {name: rows(shape, named[name]) for name, shape in shapes.items()}
    else:
        x = rows(shapes, dtypes)
    keras.src.backend.compute_output_spec(model, x, training=False)


def has_masked_outputs(model: Any) -> bool:
    """Whether some steps of what a model returns are masked, as layers with mask_zero=True do it."""
    get_mask = keras.src.backend.common.masking.get_keras_mask
    return any(get_mask(output) is not None for output in getattr(model, "outputs", None) or ())


def output_shapes(model: Any) -> Any:
    """The shapes of a model's outputs: a tuple, or a dict or list of tuples as the model has them.

    () for a subclassed model, which need not know them.
    """
    outputs = getattr(model, "output", None)
    if isinstance(outputs, dict):
        return {name: tuple(output.shape) for name, output in outputs.items()}
    if isinstance(outputs, list | tuple):
        return [tuple(output.shape) for output in outputs]
    return () if outputs is None else tuple(outputs.shape)


def state_variables(model: Any) -> tuple[Any, Any, Any]:
    """A built model's variables: trainable ones, others, and its optimizer's."""
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def unwrap_optimizer(optimizer: Any) -> list[Any]:
    """An optimizer, and the one that it scales the loss for, or those that it consists of."""
    inner = [optimizer.inner_optimizer] if is_loss_scaling(optimizer) else []
    inner += getattr(optimizer, "optimizers", [])
    return [optimizer, *(each for part in inner for each in unwrap_optimizer(part))]


def is_loss_scaling(optimizer: Any) -> bool:
    """Whether it is what Keras wraps an optimizer in under the policy mixed_float16."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


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
    """Inside, Keras does not import TensorFlow to describe, save or load a model."""
    try:
        lazy = keras.src.utils.module_utils.tensorflow
        wanted = lazy._available is None and "tensorflow" not in sys.modules
    except AttributeError:  # another version of Keras: only slower
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
    """Inside, seed all that Keras draws its layers' seeds from.

    Python's and NumPy's generators are restored. Keras's own generator starts anew, so that models
    built before do not matter. `keras.utils.set_random_seed` would import TensorFlow.
    """
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    seed_backend(seed)
    reset_keras_generator()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def reset_keras_generator() -> None:
    """Let Keras make its own generator anew, from the current seed, when it needs it."""
    try:
        name = keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR
        keras.src.backend.common.global_state.set_global_attribute(name, None)
    except AttributeError:  # another version of Keras: the documented way, which clears more
        keras.utils.clear_session(free_memory=False)
