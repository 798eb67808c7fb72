"""Decide whether models may train side by side, and if not, say why: users read these texts.

A model for which it is not certain that it would train as `fit` trains it is left to `fit`.
"""

from typing import Any

import keras

from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.scalars import loss_reduction, losses_of
from hpsearch.training.building import has_masked_outputs, unwrap_optimizer
from hpsearch.training.overrides import find_override, is_of_keras
from hpsearch.training.rows import validation_batch_size

_MIXING_LAYERS = (keras.layers.Lambda, keras.layers.MixUp, keras.layers.CutMix)
_WITH_RECURRENT_DROPOUT = (
    *(keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN),
    *(keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D),
    *(keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell),
)
# Keras's losses that compare row by row.
_ROWWISE_LOSSES = {
    *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"),
    *("mean_squared_logarithmic_error", "huber", "log_cosh", "poisson", "kl_divergence"),
    *("hinge", "squared_hinge", "categorical_hinge", "cosine_similarity"),
    *("binary_crossentropy", "binary_focal_crossentropy", "sparse_categorical_crossentropy"),
    *("categorical_crossentropy", "categorical_focal_crossentropy"),
}
# Operations of `keras.ops` that act on each element alone, or on two that correspond.
_ROWWISE_OPERATIONS = {
    *("Add", "Subtract", "Multiply", "Divide", "DivideNoNan", "TrueDivide", "FloorDivide", "Mod"),
    *("Maximum", "Minimum", "Power", "Logaddexp", "Arctan2", "Negative", "Absolute", "Abs", "Sign"),
    *("Square", "Sqrt", "Rsqrt", "Reciprocal", "Exp", "Exp2", "Expm1", "Log", "Log1p", "Log2"),
    *("Log10", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh", "Arcsin", "Arccos", "Arctan", "Erf"),
    *("Arcsinh", "Arccosh", "Arctanh", "Floor", "Ceil", "Round", "Trunc", "Clip", "Cast", "Where"),
    *("Isnan", "Isfinite", "Isinf", "NanToNum", "Equal", "NotEqual", "Greater", "GreaterEqual"),
    *("Less", "LessEqual", "LogicalAnd", "LogicalOr", "LogicalNot", "LogicalXor", "ZerosLike"),
    *("OnesLike", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "Softplus"),
    *("Softsign", "Squareplus", "SparsePlus", "Sigmoid", "LogSigmoid", "HardSigmoid", "HardSilu"),
    *("SparseSigmoid", "HardTanh", "TanhShrink", "SoftShrink", "HardShrink", "Threshold"),
}


def why_not_side_by_side(member: BatchMember) -> str | None:
    """Why this member cannot train side by side with others; None where it can."""
    why = why_not_batchable(member.model)
    if why:
        return why
    for metric in member.history.metrics:
        if why := why_metric_differs(member.model, metric.own_name):
            return why
    # Rows that mix only matter where a last minibatch is filled up.
    held_out = len(member.fit.split.validation)
    fills_validation = held_out % validation_batch_size(held_out)
    if not (fills_validation or member.rows % member.batch_size):
        return None
    if (why := why_rows_mix(member.model)) is None:
        return None
    way_out = "" if fills_validation else "; a batch_size that divides the training rows avoids it"
    return f"{why}, and the last batch is filled up{way_out}"


def why_not_batchable(model: Any) -> str | None:
    """Why this model cannot train side by side with others; None where it can."""
    if why := find_override(model, keras.Model):
        return why
    for optimizer in unwrap_optimizer(model.optimizer):
        if why := find_override(optimizer, keras.optimizers.Optimizer, "update_step"):
            return f"its optimizer {why}"
        if optimizer.use_ema:
            return "its optimizer averages the weights (use_ema=True)"
    for loss in losses_of(model):
        if isinstance(loss, keras.losses.Loss) and (
            why := find_override(loss, keras.losses.Loss, "call")
        ):
            return f"its loss {why}"
    if model.run_eagerly or not model.jit_compile:
        return _why_not_compiled(model)
    if len(model.outputs or [1]) > 1 and not isinstance(model.loss, dict):
        return "it has several outputs, and its losses are not given by their names"
    if any(loss is None for loss in losses_of(model)):  # it minimizes add_loss alone
        return "it was compiled without a loss"
    has_one = len(model.outputs or [1]) == 1 or not isinstance(model.loss, dict)
    if model._compile_loss._user_loss_weights is not None and has_one:
        return "its loss is weighted (loss_weights)"
    if getattr(model._compile_metrics, "_user_weighted_metrics", None):
        return "it was compiled with weighted_metrics"
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) is True:
            return f"a layer {type(layer).__name__} keeps its state from batch to batch"
        if _draws_in_validation(layer):
            return f"a layer {type(layer).__name__} draws random numbers in validation too"
    reductions = {loss_reduction(loss) for loss in losses_of(model)}
    if None in reductions:
        return "its loss is not reduced to a mean or a sum"
    if len(reductions) > 1:
        return "some of its losses are reduced to a mean, and some to a sum"
    return None


def normalizes_batches(model: Any) -> bool:
    """Whether a layer computes with means over the rows of a minibatch."""
    layers = model._flatten_layers(include_self=False)
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)


def _draws_in_validation(layer: Any) -> bool:
    """Whether a layer moves its random generator on in validation too.

    Some of Keras's that augment images do, and recurrent ones with dropout of their own: they draw
    its masks whether or not they use them. `fit` then goes on with another random state, which a
    program does not know.
    """
    if isinstance(layer, _WITH_RECURRENT_DROPOUT):
        return bool(layer.dropout or layer.recurrent_dropout)
    if not isinstance(getattr(layer, "generator", None), keras.random.SeedGenerator):
        return False
    if not layer._inbound_nodes:
        return False  # inside another layer, which is asked
    import jax

    def validate(state: Any, x: Any) -> Any:
        weights = [variable.value for variable in layer.trainable_variables]
        return layer.stateless_call(weights, state, x, training=False)[1]

    tensor = layer._inbound_nodes[0].input_tensors[0]
    state = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in layer.non_trainable_variables]
    x = jax.ShapeDtypeStruct((2, *tensor.shape[1:]), layer.compute_dtype)
    traced = jax.make_jaxpr(validate)(state, x).jaxpr
    inputs = traced.invars[: len(state)]
    return any(new is not old for new, old in zip(traced.outvars, inputs, strict=True))


def _why_not_compiled(model: Any) -> str:
    """Why the model's steps are not compiled: the user or one of its layers wants it so."""
    if model.run_eagerly:
        return "it was compiled with run_eagerly=True"
    refusing = [layer for layer in model._flatten_layers() if not layer.supports_jit]
    if not refusing:
        return "it was compiled with jit_compile=False"
    return (
        f"Keras does not compile a layer {type(refusing[0]).__name__} (its supports_jit is False), "
        "so that each step is taken operation by operation, which is slow on JAX; do what the "
        "layer does in the data or in preprocess, or use --backend tensorflow"
    )


def why_metric_differs(model: Any, name: str) -> str | None:
    """Why the model's metric of this name may not be the task's; None where it is."""
    compiled = model._compile_metrics
    if compiled is None:
        return None
    for metric in keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics]):
        own = getattr(metric, "name", None) or getattr(metric, "__name__", None)
        if own == name and not (
            name == "rmse" and type(metric) is keras.metrics.RootMeanSquaredError
        ):
            return f"it was compiled with a metric {name!r} of its own, not with spec.metrics"
    return None


def why_rows_mix(model: Any) -> str | None:
    """Why the rows of a minibatch may act on each other; None where they cannot.

    If they do, rows that fill up a minibatch would act on the real ones. BatchNormalization is no
    such reason: it takes a mask of the real rows.
    """
    for layer in model._flatten_layers():
        for operation in layer.operations if isinstance(layer, keras.Function) else ():
            if not isinstance(operation, keras.layers.Layer) and not _is_elementwise(operation):
                return f"{type(operation).__name__} is an operation outside of layers"
    for layer in model._flatten_layers(include_self=False):
        if not is_of_keras(layer) or isinstance(layer, _MIXING_LAYERS):
            return f"{type(layer).__name__} is not one of Keras's own layers"
        if getattr(layer, "activity_regularizer", None) is not None:
            return f"a layer {type(layer).__name__} has an activity_regularizer"
        if isinstance(layer, keras.layers.BatchNormalization) and not _channels_last(layer):
            return "a BatchNormalization normalizes over another axis than the last"
        axes = getattr(layer, "axis", None)
        if 0 in (axes if isinstance(axes, list | tuple) else [axes]):
            return f"a layer {type(layer).__name__} works along the rows (axis=0)"
    if has_masked_outputs(model):
        return "its predictions are masked"
    if all(map(_is_rowwise, losses_of(model))):
        return None
    return "its loss need not compare row by row"


def _is_elementwise(operation: Any) -> bool:
    kind = type(operation)
    return kind.__module__.startswith("keras.src.ops.") and kind.__name__ in _ROWWISE_OPERATIONS


def _is_rowwise(loss: Any) -> bool:
    loss = keras.losses.get(loss)
    compare = getattr(loss, "fn", None) or loss
    options = getattr(loss, "_fn_kwargs", {})
    return (
        (not isinstance(loss, keras.losses.Loss) or is_of_keras(loss, keras.losses.Loss))
        and str(getattr(compare, "__module__", "")).startswith("keras.src.")
        and getattr(compare, "__name__", "") in _ROWWISE_LOSSES
        and options.get("axis") in (None, -1)
        and options.get("ignore_class") is None
    )


def _channels_last(layer: Any) -> bool:
    return bool(layer.axis in (-1, layer.input_spec.ndim - 1))
