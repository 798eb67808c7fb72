"""Training functions of scikit-learn's estimators."""

import inspect
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hpsearch.core.arrays import Array, Indices, count_rows, inputs_by_name, view_rows
from hpsearch.core.errors import BuildError, first_line
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.metric import CLASS_SCORERS
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.training.base import TrainFunction
from hpsearch.training.fresh_transformers import find_unseeded
from hpsearch.training.own import TrainingRun

_PART_BYTES = 2**26  # of the rows that partial_fit gets at a time, where not all fit into memory
_BY_PROBABILITY = ("average_precision", "top_k_accuracy", "neg_brier_score", "neg_log_loss")
_BY_CLASS = (
    *("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"),
    *(n for n in CLASS_SCORERS if n not in _BY_PROBABILITY and not n.startswith("roc_auc")),
)


def sklearn_model(
    factory: Callable[..., Any], *, by: str | None = None, step: int = 1
) -> TrainFunction:
    """A training function, for `Study(train=...)`, of a scikit-learn estimator.

    Args:
        factory: `factory(**params)` returns an estimator that is not fitted. Where its
            random_state is None, it becomes the fit's seed.
        by: what an epoch is. None: there is one, in which the estimator is fitted; a search that
            asks for more epochs gets this one. "partial_fit": a call of partial_fit with all rows,
            in a random order, or several where a source's rows do not fit into memory. Else the name of a parameter that grows by `step` in each epoch, with
            warm_start: "n_estimators" of forests and boosting, or "max_iter".
        step: by how much it grows.

    Classes are given as probabilities, where the estimator has predict_proba. A fit that is
    continued goes on from the estimator itself where skops can save it without pickle, with no
    types but scikit-learn's and those of what `factory` returns; else it starts anew.
    """
    if not callable(factory):
        raise ValueError(f"sklearn_model needs a function that returns an estimator, got {factory}")
    if by is not None and not isinstance(by, str):
        raise ValueError(f"sklearn_model needs by= 'partial_fit' or a parameter, got {brief(by)}")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        raise ValueError(f"sklearn_model needs step >= 1, got step={brief(step)}")
    if step != 1 and by in (None, "partial_fit"):
        raise ValueError(f"step={step} has no effect with by={by!r}; name the parameter that grows")

    def train(run: TrainingRun, **params: Any) -> Any:
        return _train(run, _Steps(by, step), factory(**params), factory(**params))

    try:
        own = list(inspect.signature(factory).parameters.values())
    except ValueError:  # of a class written in C, which shows in its calls what it takes
        return train
    first = inspect.Parameter("run", inspect.Parameter.POSITIONAL_ONLY)
    train.__signature__ = inspect.Signature([first, *own])  # type: ignore[attr-defined]
    return train


def train_estimator(run: TrainingRun, make: Callable[[], Any], *, weighs: bool = True) -> Any:
    """Fit an estimator to a fit's rows, whatever they are, in one epoch; returns its `predict`.

    Several inputs are joined side by side. Rows that are sparse stay so. Of rows of a source that do
    not fit into memory, as many as fit are drawn.

    Args:
        make: returns the estimator, not fitted.
        weighs: whether it learns by the weights of rows.
    """
    return _train(run, _Steps(None, 1), make(), make(), _AnyRows(weighs))


class PredictedOutput(Protocol):
    """What `predict_as_network` has to know of a task: a `Task` whose kind is known has it all."""

    @property
    def classifies(self) -> bool: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def outputs(self) -> Any: ...
    @property
    def from_logits(self) -> bool: ...
    @property
    def link(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _AnyRows:
    """That rows of any form are trained on, and whether by their weights."""

    weighs: bool


@dataclass(frozen=True, slots=True)
class _Steps:
    """What an epoch is: the options of `sklearn_model`."""

    by: str | None
    step: int

    def check(self, estimator: Any) -> None:
        """Raise BuildError where the estimator has no such steps."""
        name = type(estimator).__name__
        for method in ("fit", "predict", "get_params"):
            if not callable(getattr(estimator, method, None)):
                raise BuildError(
                    f"sklearn_model needs a function that returns an estimator, got "
                    f"{brief(estimator)}, which has no {method}"
                )
        if self.by == "partial_fit" and not callable(getattr(estimator, "partial_fit", None)):
            raise BuildError(f"{name} has no partial_fit; leave by= out, or name what grows")
        if self.by in (None, "partial_fit"):
            return
        known = estimator.get_params()
        if self.by not in known:
            raise BuildError(
                f"{name} has no parameter by={self.by!r}{did_you_mean(self.by, known)}; leave by= "
                "out, or name one that grows"
            )
        if "warm_start" not in known:
            raise BuildError(f"{name} has no warm_start, by which {self.by} could grow")

    def fit(self, estimator: Any, rows: "_Rows", epoch: int, seed: int) -> None:
        """Fit it as far as it is after this epoch, counted from 0."""
        if self.by is None:
            estimator.fit(rows.x, rows.y, **rows.weights_for(estimator, "fit"))
        elif self.by == "partial_fit":
            # Drawn by the epoch alone, so that a continued fit draws the same.
            order = np.random.default_rng(seed).permutation(len(rows.x))
            known = {} if rows.classes is None else {"classes": rows.classes}
            weights = rows.weights_for(estimator, "partial_fit")
            for some in rows.cut(order):
                of_some = {name: each[some] for name, each in weights.items()}
                estimator.partial_fit(rows.x[some], rows.y[some], **known, **of_some)
        else:
            total = self.step * (epoch + 1) if _grows_in_total(estimator, self.by) else self.step
            estimator.set_params(**{"warm_start": True, self.by: total})
            with warnings.catch_warnings():
                if self.by == "max_iter":  # that it has not converged is why it goes on
                    from sklearn.exceptions import ConvergenceWarning

                    warnings.simplefilter("ignore", ConvergenceWarning)
                estimator.fit(rows.x, rows.y, **rows.weights_for(estimator, "fit"))

    def draws_by_epoch(self, estimator: Any) -> bool:
        """Whether each epoch would draw the same numbers again, if its random_state stayed."""
        if self.by is None:
            return False
        return self.by == "partial_fit" or not _grows_in_total(estimator, self.by)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The training rows as scikit-learn takes them.

    Args:
        x: of shape (rows, columns); LazyRows where they are more than fit into memory.
        y: of shape (rows,), or (rows, outputs).
        classes: all classes of y; None where it has none, or several labels a row.
        weights: of shape (rows,), or None.
    """

    x: Any
    y: Array
    classes: Array | None
    weights: Array | None

    def cut(self, order: Indices) -> list[Indices]:
        """Row numbers in parts, of which each is read at a time: all at once where x is an array."""
        size = len(order)
        if isinstance(self.x, LazyRows):
            size = max(1, _PART_BYTES // self.x.bytes_to_read)
        return [order[start : start + size] for start in range(0, len(order), size)]

    def weights_for(self, estimator: Any, method: str) -> dict[str, Array]:
        """The arguments that weigh rows; BuildError where the estimator takes none."""
        if self.weights is None:
            return {}
        name, last = "sample_weight", estimator
        steps = getattr(estimator, "steps", None)
        if isinstance(steps, list):  # of a pipeline, the last step is what learns
            name, last = f"{steps[-1][0]}__sample_weight", steps[-1][1]
        if "sample_weight" not in inspect.signature(getattr(last, method)).parameters:
            raise BuildError(
                f"the task weighs rows, and {type(last).__name__}.{method} takes no sample_weight; "
                "take another estimator, or the weights from the task"
            )
        return {name: self.weights}


def _train(
    run: TrainingRun, steps: _Steps, estimator: Any, fresh: Any, any_rows: _AnyRows | None = None
) -> Any:
    """Train an estimator; `fresh` is another one, for the types that may be loaded."""
    steps.check(estimator)
    if any_rows is None:
        rows = _take_rows(run, in_parts=steps.by == "partial_fit")
    else:
        rows = _take_any_rows(run, any_rows.weighs)
    state = run.restore()
    if state is not None:
        estimator = _load(state["estimator"].tobytes(), fresh)
    seeds = find_unseeded(estimator if state is None else fresh)
    by_class = _predicts_classes_only(run.task, estimator)

    def predict(x: Array) -> Array:
        return predict_as_network(estimator, join_inputs(x), run.task)

    def save() -> Any:
        return {"estimator": np.frombuffer(dump_estimator(estimator), np.uint8)}

    can_save = state is not None
    for epoch in run.epochs():
        seed = derive_seed(run.seed, "sklearn", epoch if steps.draws_by_epoch(estimator) else 0)
        estimator.set_params(**dict.fromkeys(seeds, seed))
        steps.fit(estimator, rows, epoch, seed)
        found = run.measure(predict, train=True)
        if by_class:  # the loss of classes, as if they were probabilities, says nothing
            found = {n: v for n, v in found.items() if n not in ("loss", "train_loss")}
        run.report(**found)
        if can_save or (epoch == 0 and run.keeps_state and _can_load(estimator, fresh)):
            can_save = True
            run.save(save)
        if steps.by is None:
            run.end()
    return predict


def _take_rows(run: TrainingRun, *, in_parts: bool) -> _Rows:
    """The training rows. in_parts: leave what does not fit into memory where it is."""
    task, (x, y) = run.task, run.train
    if isinstance(x, Mapping) or isinstance(y, Mapping) or task.is_sequence(y):
        raise BuildError("sklearn_model trains on one table x and one output; write train yourself")
    weights = run.train_weights
    if weights is not None and weights.ndim != 1:
        raise BuildError("sklearn_model takes a weight for each row, and the task has one a step")
    y, classes = _number_classes(task, y)
    if isinstance(x, LazyRows) and in_parts and x.nbytes > most_bytes_of_rows():
        return _Rows(x.map(join_inputs), y, classes, weights)
    return _Rows(join_inputs(x), y, classes, weights)


def _take_any_rows(run: TrainingRun, weighs: bool) -> _Rows:
    """The training rows of any form, as `train_estimator` has it."""
    x, y = run.train
    y, classes = _number_classes(run.task, y)
    weights = run.train_weights if weighs else None
    if (some := _draw_if_too_many(x, run.seed)) is not None:
        x, y = view_rows(x, some), y[some]
        weights = None if weights is None else weights[some]
    if isinstance(x, LazyRows) and x.is_sparse:
        return _Rows(x.fetch(slice(None)), y, classes, weights)
    table = join_inputs(x)
    if table.dtype.kind in "bu":  # scikit-learn would make float64 of them, eight times as large
        table = table.astype(np.float32)
    return _Rows(table, y, classes, weights)


def _draw_if_too_many(x: Any, seed: int) -> Indices | None:
    """Numbers of rows, sorted, as many as fit into memory; None where all do."""
    parts = inputs_by_name(x).values()
    row_bytes = sum(each.row_bytes for each in parts if isinstance(each, LazyRows))
    dense = not any(isinstance(each, LazyRows) and each.is_sparse for each in parts)
    most = most_bytes_of_rows() // max(1, row_bytes)
    if not row_bytes or not dense or count_rows(x) <= most:
        return None
    rng = np.random.default_rng(derive_seed(seed, "sample"))
    return np.sort(rng.choice(count_rows(x), most, replace=False))


def _number_classes(task: Task, y: Array) -> tuple[Array, Array | None]:
    """Targets as scikit-learn takes them, and all classes, if each row has one."""
    if task.kind_of(y) in ("binary", "multiclass"):
        y = (y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)).astype(np.int64)
        return y, np.arange(max(2, task.outputs))
    return (y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y), None


def join_inputs(x: Any) -> Array:
    """Rows as a table; several inputs side by side."""
    if isinstance(x, Mapping):
        return np.hstack([join_inputs(each) for each in x.values()])
    array = np.asarray(x)
    return array.reshape(len(array), math.prod(array.shape[1:]))


def predict_as_network(estimator: Any, x: Array, task: "PredictedOutput") -> Array:
    """Predictions as Keras models give them, of shape (rows, outputs)."""
    if not task.classifies:
        return np.asarray(estimator.predict(x)).reshape(len(x), -1)
    units = int(task.outputs)
    if not callable(getattr(estimator, "predict_proba", None)):
        found = np.asarray(estimator.predict(x))
        likely = found if found.ndim == 2 else np.eye(max(2, units))[found.astype(np.int64)]
    elif task.kind != "multilabel":
        likely = _spread(np.asarray(estimator.predict_proba(x)), estimator.classes_, max(2, units))
    else:
        likely = estimator.predict_proba(x)
        if isinstance(likely, list):  # a table a label, as forests have it
            labels = zip(likely, estimator.classes_, strict=True)
            likely = np.column_stack([_of_class_one(*each) for each in labels])
    if units == 1 and likely.shape[1] == 2:
        likely = likely[:, 1:]
    return np.asarray(_to_logits(likely, task) if task.from_logits else likely)


def _of_class_one(likely: Array, classes: Array) -> Array:
    return likely[:, -1] if classes[-1] == 1 else np.zeros(len(likely))


def _spread(likely: Array, classes: Array, units: int) -> Array:
    """Probabilities of all classes, where a fold may lack some."""
    if likely.ndim != 2 or likely.shape[1] != len(classes):  # NumPy would spread one column
        raise BuildError(
            f"predict_proba gives shape {likely.shape}, and there are {len(classes)} classes_: it must "
            "give a column for each"
        )
    found = np.zeros((len(likely), units))
    found[:, classes.astype(np.int64)] = likely
    return found


def _to_logits(likely: Array, task: "PredictedOutput") -> Array:
    likely = np.clip(likely, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(likely) - (0 if task.link == "softmax" else np.log1p(-likely)))


def _predicts_classes_only(task: Task, estimator: Any) -> bool:
    """Whether it has no probabilities; BuildError where a metric of the task needs them."""
    if not task.classifies or callable(getattr(estimator, "predict_proba", None)):
        return False
    for metric in task.recorded:
        if metric.own_name not in _BY_CLASS:
            raise BuildError(
                f"{type(estimator).__name__} predicts no probabilities, which the metric "
                f"{metric.name} needs; take another estimator or metric"
            )
    return True


def _grows_in_total(estimator: Any, name: str) -> bool:
    """Whether the parameter counts all steps so far, not only those of the next call of fit."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    boosting = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    return name != "max_iter" or isinstance(estimator, boosting)


def dump_estimator(estimator: Any) -> bytes:
    """An estimator by skops, without pickle."""
    from skops import io

    return bytes(io.dumps(estimator))


def _load(saved: bytes, fresh: Any) -> Any:
    """The estimator that was saved; BuildError where it holds other types than expected."""
    from skops import io

    try:
        unknown = set(io.get_untrusted_types(data=saved))
        expected = io.get_untrusted_types(data=dump_estimator(fresh))
        strange = sorted(n for n in unknown.difference(expected) if not _is_class_of_sklearn(n))
        found = None if strange else io.loads(saved, trusted=sorted(unknown))
    except Exception as error:  # a damaged or foreign file
        raise BuildError(
            f"the estimator in the checkpoint is damaged: {first_line(error)}"
        ) from error
    if strange:
        raise BuildError(f"the estimator in the checkpoint holds other types: {', '.join(strange)}")
    if type(found) is not type(fresh):
        raise BuildError(f"the checkpoint holds a {type(found).__name__}, not the study's")
    return found


def _can_load(estimator: Any, fresh: Any) -> bool:
    """Whether skops saves and loads it, with no types but those that are expected."""
    try:
        _load(dump_estimator(estimator), fresh)
    except Exception:  # skops raises its own
        return False
    return True


def _is_class_of_sklearn(name: str) -> bool:
    """Whether a type's name is that of a class in scikit-learn; functions could do anything."""
    module, _, own = name.rpartition(".")
    if module.split(".")[0] != "sklearn":
        return False
    found = getattr(sys.modules.get(module), own, None)
    return isinstance(found, type) and found.__module__ == module
