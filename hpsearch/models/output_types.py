"""What each output of a model predicts, and how predictions of several outputs are handled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array, Targets, targets_by_name
from hpsearch.core.errors import HpsearchError
from hpsearch.core.task import Task


@dataclass(frozen=True, slots=True)
class OutputType:
    """What the predictions of one output stand for.

    Args:
        classifies: whether they stand for classes.
        logits: whether they are logits, which `link` makes probabilities.
        labels: whether a row may have several classes.
        link: "sigmoid", "softmax" or "linear"; empty where that is not known.
        is_sequence: whether a row has a class for each of several steps.
    """

    classifies: bool = False
    logits: bool = False
    labels: bool = False
    link: str = ""
    is_sequence: bool = False


OutputTypes = Mapping[str, OutputType]
"""By the output's name; "" where there is one."""


def describe_outputs(task: Task, y: Targets) -> dict[str, OutputType]:
    """The type of each output of a task's models. y: the targets of all searched rows."""
    targets = targets_by_name(y)
    return {
        name: OutputType(
            part.classifies,
            part.from_logits,
            part.kind_of(targets[name]) == "multilabel",
            part.link,
            part.is_sequence(targets[name]),
        )
        for name, part in task.parts.items()
    }


def map_outputs(function: Callable[..., Any], *predictions: Any) -> Any:
    """Apply a function to arrays, or to those of each output where predictions are dicts.

    >>> map_outputs(lambda a, b: a + b, {"age": 1, "sex": 2}, {"age": 10, "sex": 20})
    {'age': 11, 'sex': 22}
    """
    first = predictions[0]
    if not isinstance(first, Mapping):
        return function(*predictions)
    return {name: function(*(each[name] for each in predictions)) for name in first}


def shape_predictions(model: Any, raw: Any, outputs: OutputTypes) -> Any:
    """What `model.predict` returned as an array, or as a dict of arrays by output.

    Arrays have the shape (rows, units), or (rows, steps, classes) of sequences. Raises
    HpsearchError where the model has other outputs, or no class a step.
    """
    if isinstance(raw, Mapping):
        found = dict(raw)
    elif isinstance(raw, list | tuple):
        # Keras sorts dicts by their keys, but lists are in the model's own order.
        found = dict(zip(getattr(model, "output_names", ()), raw, strict=False))
    else:
        found = {"": raw}
    if len(outputs) == len(found) == 1:
        found = dict(zip(outputs, found.values(), strict=True))
    if found.keys() != outputs.keys():
        raise HpsearchError(
            f"the model predicts {_name_all(found)}, and {_name_all(outputs)} were expected; name "
            "its output layers so, or return a dict of outputs from it"
        )
    shaped = {name: _shape_output(np.asarray(found[name]), outputs[name]) for name in outputs}
    return shaped[""] if "" in shaped else shaped


def _shape_output(predicted: Array, output: OutputType) -> Array:
    if not output.is_sequence:
        return predicted.reshape(len(predicted), -1)
    if predicted.ndim != 3:
        raise HpsearchError(
            f"the model predicts shape {predicted.shape}, and a sequence needs (rows, steps, "
            "classes); let its last layer return a class for each step"
        )
    return predicted


def _name_all(outputs: Mapping[str, Any]) -> str:
    return ", ".join(name or "one output" for name in outputs) or "nothing"
