"""The task's metrics: counted by Keras in each minibatch, or computed from all predictions."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.core.metric import Metric
from hpsearch.core.row_scores import Measure, make_score_measure, measure_plainly
from hpsearch.core.task import Task
from hpsearch.training.building import has_masked_outputs
from hpsearch.training.rows import spread_weights


def counted_metrics(task: Task) -> list[Metric]:
    """The recorded metrics that Keras counts while a model trains and is validated."""
    return [metric for metric in task.recorded if not needs_predictions(task, metric)]


def predicted_metrics(task: Task) -> list[Metric]:
    """The recorded metrics that are computed from predictions for all rows, after each epoch."""
    return [metric for metric in task.recorded if needs_predictions(task, metric)]


def needs_predictions(task: Task, metric: Metric) -> bool:
    """Whether a metric of the task is computed from predictions for all rows, after each epoch.

    Also where it weighs rows, and where models learn targets in another unit than their own. Their
    loss is that of training.
    """
    if metric.needs_predictions or task.weighted_metrics:
        return True
    return task.preprocess_y is not None and metric.own_name != "loss"


def make_metrics(task: Task, *, to_save: bool = False) -> Any:
    """New Keras metrics for `spec.metrics`: a list, or a dict of lists by output.

    Args:
        to_save: only those that a saved model can be loaded with. "loss" is a function of our own.

    Raises HpsearchError for an unknown metric.
    """
    if task.has_several_outputs:
        return {
            name: [
                each
                for own in _names_of_output(task, name)
                if not (to_save and own == "loss")
                for each in _make_metric(part, own)
            ]
            for name, part in task.parts.items()
        }
    names = [metric.name for metric in counted_metrics(task)]
    return [
        each
        for name in names
        if not (to_save and name == "loss")
        for each in _make_metric(task, name)
    ]


def _names_of_output(task: Task, output: str) -> list[str]:
    """The metrics of one of several outputs that Keras counts, by their own names."""
    counted = counted_metrics(task)
    names = [metric.own_name for metric in counted if metric.output == output]
    # The loss of all outputs together is added up from those of each.
    if any(not metric.output for metric in counted) and "loss" not in names:
        names.append("loss")
    return names


def make_measure(task: Task, metric: Metric) -> Measure:
    """A function that computes a metric from predictions for all rows; NaN where it is undefined.

    It takes what the model returns, of shape (rows, outputs); targets as models get them; and the
    weights of the rows, shape (rows,).

    Args:
        task: of these rows; its kind must be known without them (`Task.with_kind_of`).
        metric: any of the task's.
    """
    if task.has_several_outputs:
        return _make_measure_of_outputs(task, metric)
    if metric.needs_predictions:
        return make_score_measure(task, metric)
    by_keras = _make_keras_measure(task, metric.own_name)
    if task.preprocess_y is None:
        return by_keras

    def measure(predicted: Array, y: Array, weights: Array | None = None) -> float:
        # Predictions that were changed back are float64, which Keras would round.
        value = measure_plainly(task, metric, predicted, y, weights)
        return by_keras(predicted, y, weights) if value is None else value

    return measure


def _make_measure_of_outputs(task: Task, metric: Metric) -> Measure:
    """A metric of one of several outputs, or the sum of their losses; all given by output."""
    shares = {metric.output: 1.0} if metric.output else task.weigh_losses()
    measures = {
        name: make_measure(task.parts[name], replace(metric, name=metric.own_name, output=""))
        for name in shares
    }

    def measure(predicted: Any, y: Any, weights: Array | None = None) -> float:
        return sum(
            share * measures[name](predicted[name], y[name], weights)
            for name, share in shares.items()
        )

    return measure


def make_measures(task: Task) -> dict[str, Measure]:
    """By name, the metrics that are computed from predictions for all rows, after each epoch."""
    return {metric.name: make_measure(task, metric) for metric in predicted_metrics(task)}


def _make_keras_measure(task: Task, name: str) -> Measure:
    """What Keras counts over all rows, by a model that returns its inputs."""
    found: dict[tuple[int, ...], Any] = {}

    def measure(predicted: Array, y: Array, weights: Array | None = None) -> float:
        if weights is not None and not weights.any():
            return math.nan  # where Keras has 0, which would be the best error there is
        shape = predicted.shape[1:]
        if shape not in found:
            # In full precision whatever the models' policy: predictions are.
            dtype = keras.config.floatx()
            inputs = keras.Input(shape, dtype=dtype)
            model = keras.Model(inputs, keras.layers.Activation("linear", dtype=dtype)(inputs))
            model.compile(loss=task.loss, weighted_metrics=_make_metric(task, name))
            found[shape] = model
        if weights is not None:  # a weight for each loss, also where a row has several
            weights = spread_weights(weights, predicted.shape)
            weights = np.broadcast_to(weights, predicted.shape[:-1])
        logs = found[shape].evaluate(
            predicted, y, sample_weight=weights, batch_size=len(y), verbose=0, return_dict=True
        )
        return float(_read_log(logs, name))

    return measure


def _make_metric(task: Task, name: str) -> list[Any]:
    if name == "loss":
        # Keras's own "loss" includes penalties: a smaller L2 factor would win by that alone.
        loss = keras.losses.get(task.loss)
        pointwise = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return [keras.metrics.MeanMetricWrapper(_match_ranks(pointwise), name="task_loss")]
    if name == "rmse":
        return [keras.metrics.RootMeanSquaredError(name="rmse")]
    try:
        keras.metrics.get(name)
    except ValueError as error:
        raise HpsearchError(f"Keras knows no metric {name!r}; see keras.metrics") from error
    return [name]


def read(logs: Mapping[str, Any], task: Task, metric: Metric, prefix: str = "") -> Any:
    """A metric among an epoch's logs; BuildError where the model was compiled without it."""
    if metric.output or not task.has_several_outputs:
        (found,) = _read_logs(logs, task, metric, prefix)
        return found
    shares = task.weigh_losses().values()
    values = _read_logs(logs, task, metric, prefix)
    return sum(share * value for share, value in zip(shares, values, strict=True))


def _read_logs(logs: Mapping[str, Any], task: Task, metric: Metric, prefix: str = "") -> list[Any]:
    """What is logged of a metric: of all outputs together, the loss of each."""
    if metric.output:
        return [_read_log(logs, metric.own_name, f"{prefix}{metric.output}_")]
    if task.has_several_outputs:
        return [_read_log(logs, "loss", f"{prefix}{name}_") for name in task.parts]
    return [_read_log(logs, metric.name, prefix)]


def _read_log(logs: Mapping[str, Any], name: str, prefix: str = "") -> Any:
    key = f"{prefix}task_loss" if name == "loss" and f"{prefix}task_loss" in logs else prefix + name
    if key not in logs:
        raise BuildError(
            f"the model reports {', '.join(logs)} but not the task's metric {key!r}; compile it "
            "with metrics=spec.metrics"
        )
    return logs[key]


def check(logs: Mapping[str, Any], task: Task, model: Any, *, is_sequence: bool) -> None:
    """Raise BuildError where a model's logs do not contain the task's metrics, or masked ones.

    Args:
        is_sequence: whether the targets have a class for each step.
    """
    if (is_sequence or predicted_metrics(task)) and has_masked_outputs(model):
        raise BuildError(
            "the model masks steps, which Keras then leaves out of loss and metrics, and what is "
            "computed from predictions does not; take the mask off before the last layer, and say "
            "which steps count by Data(sample_weight=) of shape (rows, steps), with "
            "Task(weighted_metrics=True)"
        )
    counted = counted_metrics(task)
    for metric in counted:
        _read_logs(logs, task, metric)
    if not model.losses or not any(metric.own_name == "loss" for metric in counted):
        return
    if not any(name.endswith("task_loss") for name in logs):
        raise BuildError(
            "the model's loss includes penalties of its weights, which must not decide the "
            "ranking; compile it with metrics=spec.metrics"
        )


def _match_ranks(pointwise: Any) -> Any:
    """Let a loss compare row by row also where targets are (n,) and predictions (n, 1)."""

    def compare(true: Any, predicted: Any) -> Any:
        if len(true.shape) + 1 == len(predicted.shape) and predicted.shape[-1] == 1:
            true = keras.ops.expand_dims(true, -1)
        elif len(true.shape) == len(predicted.shape) + 1 and true.shape[-1] == 1:
            true = keras.ops.squeeze(true, -1)
        return pointwise(true, predicted)

    return compare
