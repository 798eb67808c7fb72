"""The parts of Keras that training relies on beyond its documented interface.

Each entry of `RELIED_ON` is looked up once a process, before anything is trained side by side.
Where one is missing, `model.fit` still trains: first weights are then not deferred, and nothing is
replaced. `fit` itself needs two of them, `_flatten_layers` and `compute_output_spec`.

These are not among them, because `building` works without:
`keras.src.utils.module_utils.tensorflow` and its `_available`, to not import TensorFlow, which
takes seconds; `keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR` and `set_global_attribute` of
`keras.src.backend.common.global_state`, to reset Keras's own generator without `clear_session`.
Nor are an optimizer's `_trainable_variables` and `_model_variables_moving_average`: only `fit` needs
them, where the optimizer averages weights, as `keras.callbacks.SwapEMAWeights` does. And without
`keras._tf_keras`, `keras.src.visualization` and `keras.src.trainers.data_adapters.array_slicing`,
which `lean_import` names, importing Keras only takes longer. Without `_lookup_layer`, a
`TextVectorization` in `preprocess=` fails where it is adapted; without `_has_input_vocabulary`, one
with a file of words is not refused, though the file is not kept. Without `add_update` of
`keras.StatelessScope`, `make_training_step` does not see what a loss assigns but never reads.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from hpsearch.core.errors import HpsearchError

TESTED = "3.11.3 to 3.16.0"


@dataclass(frozen=True)
class Internal:
    """Something of Keras that its documentation does not promise.

    Args:
        name: as a user would look for it.
        used_for: what breaks without it.
        find: returns it, or raises AttributeError.
        arguments: that it must take, where it is called or replaced.
    """

    name: str
    used_for: str
    find: Callable[[], Any]
    arguments: tuple[str, ...] = ()


def _of_model(name: str) -> Any:
    return getattr(keras.Model, name)


def _in_code_of(function: Any, name: str) -> None:
    """Find an attribute in the code that uses it: making a variable would compile."""
    if name not in function.__code__.co_names:
        raise AttributeError(name)


def _of_dense_layer(name: str) -> Any:
    return getattr(keras.layers.Dense(1), name)


def _graph_of_a_layer() -> Any:
    inputs = keras.Input((1,))
    return keras.Model(inputs, keras.layers.Flatten()(inputs))


def _of_smoothed_loss(name: str) -> Any:
    return getattr(keras.losses.CategoricalCrossentropy(label_smoothing=0.5), name)


_FORWARD = (
    *("trainable_variables", "non_trainable_variables", "metrics_variables", "x", "y"),
    *("sample_weight", "training", "optimizer_variables"),
)
_DRAWS = ("uniform", "normal", "truncated_normal")

RELIED_ON = (
    # -- `deferred`: first weights
    Internal(
        "Variable._initialize_with_initializer",
        "replaced, so that a model is built without computing its first weights",
        lambda: keras.Variable._initialize_with_initializer,
        ("initializer",),
    ),
    Internal(
        "Variable._value",
        "all that reads or sets a variable's value uses it, and so meets a deferred one",
        lambda: _in_code_of(keras.Variable.value.fget, "_value"),
    ),
    Internal(
        "Variable._layout",
        "tells a variable that is spread over devices, which is not deferred",
        lambda: _in_code_of(keras.Variable.__init__, "_layout"),
    ),
    *(
        Internal(
            f"keras.src.backend.random.{name}",
            "replaced, so that first weights are drawn by few compiled programs",
            lambda name=name: getattr(keras.src.backend.random, name),  # type: ignore[misc]
            ("shape",),
        )
        for name in _DRAWS
    ),
    # -- `batched.traced_step`: Keras's own step, traced
    Internal(
        "Model.compute_loss_and_updates",
        "the forward pass of a step",
        lambda: _of_model("compute_loss_and_updates"),
        _FORWARD,
    ),
    Internal(
        "Model._symbolic_build",
        "makes the model's metrics before a step is traced",
        lambda: _of_model("_symbolic_build"),
        ("data_batch",),
    ),
    Internal(
        "Model._flatten_layers",
        "all layers, also those within layers",
        lambda: _of_model("_flatten_layers"),
        ("include_self",),
    ),
    Internal(
        "Optimizer.stateless_apply",
        "the optimizer's part of a step",
        lambda: keras.optimizers.Optimizer.stateless_apply,
        ("optimizer_variables", "grads", "trainable_variables"),
    ),
    Internal(
        "SeedGenerator.next",
        "the random numbers of dropout in a wider network",
        lambda: keras.random.SeedGenerator.next,
    ),
    Internal(
        "Layer.supports_jit",
        "whether a layer may be compiled; replaced for layers that transform images",
        lambda: _of_dense_layer("supports_jit"),
    ),
    # -- `building`
    Internal(
        "keras.src.backend.compute_output_spec",
        "makes the variables of a model that learns its input's shape when called",
        lambda: keras.src.backend.compute_output_spec,
        ("fn",),
    ),
    # -- `frozen`: the calls of layers that a model is made of
    Internal(
        "keras.src.models.functional.Functional",
        "the type of a model that is a plain graph of layers",
        lambda: keras.src.models.functional.Functional,
    ),
    Internal(
        "Functional._nodes_by_depth",
        "the calls of layers that a model is made of",
        lambda: _graph_of_a_layer()._nodes_by_depth[0][0].operation,
    ),
    Internal(
        "Layer._non_trainable_variables",
        "tells layers that keep a state from those that only have weights",
        lambda: _of_dense_layer("_non_trainable_variables"),
    ),
    # -- `batched.batchable`, `scalars`, `padding`: what may train side by side, and structure
    Internal(
        "Model._compile_metrics",
        "tells a metric of the user's own by the name of the task's",
        lambda: _in_code_of(keras.Model.metrics.fget, "_compile_metrics"),
    ),
    *(
        Internal(
            f"Model._compile_metrics.{name}",
            "the metrics as the user gave them",
            lambda name=name: getattr(  # type: ignore[misc]
                keras.src.trainers.compile_utils.CompileMetrics([], []), name
            ),
        )
        for name in ("_user_metrics", "_user_weighted_metrics")
    ),
    Internal(
        "keras.src.backend.common.masking.get_keras_mask",
        "tells predictions that are masked",
        lambda: keras.src.backend.common.masking.get_keras_mask,
        ("x",),
    ),
    Internal(
        "Optimizer._use_weight_decay",
        "tells the weights that were excluded from weight decay",
        lambda: keras.optimizers.Optimizer._use_weight_decay,
        ("variable",),
    ),
    Internal(
        "Model._compile_loss._user_loss_weights",
        "tells a loss that is weighted",
        lambda: keras.src.trainers.compile_utils.CompileLoss("mse")._user_loss_weights,
    ),
    Internal(
        "Layer._trainable_variables",
        "the weights whose penalties are numbers",
        lambda: _of_dense_layer("_trainable_variables"),
    ),
    Internal(
        "Layer._inbound_nodes",
        "tells a layer that is used twice",
        lambda: _of_dense_layer("_inbound_nodes"),
    ),
    Internal(
        "Optimizer._learning_rate",
        "the schedule of learning rates, whose numbers are data",
        lambda: _in_code_of(keras.optimizers.Optimizer.learning_rate.fset, "_learning_rate"),
    ),
    Internal(
        "Optimizer._clip_gradients",
        "replaced, so that one program serves all values of clipvalue",
        lambda: keras.optimizers.Optimizer._clip_gradients,
        ("grads",),
    ),
    Internal(
        "Loss._fn_kwargs",
        "how far a loss smooths labels",
        lambda: _of_smoothed_loss("_fn_kwargs")["label_smoothing"],
    ),
    Internal(
        "Loss.fn",
        "replaced, so that one program serves all smoothings of labels",
        lambda: _of_smoothed_loss("fn"),
        ("y_true", "y_pred", "label_smoothing"),
    ),
)


@functools.cache
def missing() -> str | None:
    """The first of `RELIED_ON` that this Keras lacks; None where it has all."""
    for internal in RELIED_ON:
        try:
            found = internal.find()
            known = inspect.signature(found).parameters if internal.arguments else {}
        except Exception:  # whatever this Keras has in its place
            return internal.name
        for argument in internal.arguments:
            if argument not in known:
                return f"argument {argument} of {internal.name}"
    return None


def why_not_side_by_side() -> str | None:
    """Why this Keras cannot train side by side, and the way out; None where it can."""
    if (lacking := missing()) is None:
        return None
    return (
        f"Keras {keras.__version__} has no {lacking}, which training side by side relies on; "
        f"versions {TESTED} have it"
    )


def check() -> None:
    """Raise HpsearchError where this Keras cannot train side by side."""
    if (why := why_not_side_by_side()) is not None:
        raise HpsearchError(f"--engine gang: {why}; install one of these, or use --engine fit")
