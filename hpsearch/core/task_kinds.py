"""Kinds of tasks, which decide outputs, activation, stratified folds and possible metrics.

| kind | y | last layer |
|---|---|---|
| binary | (rows,) or (rows, 1), from 0 to 1 | 1 unit, sigmoid |
| multiclass | (rows,): 0, 1, 2...; or (rows, classes), one-hot | a unit for each class, softmax |
| multiclass | (rows, steps), (rows, steps, classes): a class a step | for each step, the same |
| multilabel | (rows, labels), each from 0 to 1 | a unit for each label, sigmoid |
| regression | (rows,) or (rows, outputs), any numbers | a unit for each output, linear |
| regression | (rows, ...) of any shape, for example images | up to the model |

Most losses decide the kind, some together with the shape of y. Others need `Task(kind=...)`.
"""

import inspect
import re
from typing import Any, Literal, get_args

import numpy as np

from hpsearch.core.arrays import Array, is_one_hot
from hpsearch.core.errors import DataError
from hpsearch.core.metric import CLASS_SCORERS, ERROR_FUNCTIONS, NUMBER_SCORERS, Metric
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief

Kind = Literal["binary", "multiclass", "multilabel", "regression"]

KINDS: tuple[Kind, ...] = get_args(Kind)

_SHORT = {"bce": "binary_crossentropy", "kld": "kl_divergence", "kldivergence": "kl_divergence"}

# Losses that decide the kind, and losses of single probabilities, where the shape of y decides it.
_SPARSE = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
_ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge")
_BY_COLUMNS = ("binary_crossentropy", "binary_focal_crossentropy")
# Differences of numbers: a regression, unless the task's kind says that they are probabilities.
_OF_NUMBERS = (
    *("mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh", "poisson"),
    *("mape", "mean_absolute_percentage_error", "msle", "mean_squared_logarithmic_error"),
)
# The kinds that each of Keras's losses is for. The last ones, distances and overlaps, are for all.
_LOSSES: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys((*_SPARSE, *_ONE_HOT), ("multiclass",)),
    **dict.fromkeys(_BY_COLUMNS, ("binary", "multiclass", "multilabel")),
    **dict.fromkeys(_OF_NUMBERS, KINDS),
    **dict.fromkeys(("hinge", "squared_hinge"), ("binary", "multilabel")),
    "kl_divergence": ("multiclass", "multilabel", "regression"),
    **dict.fromkeys(("cosine_similarity", "circle", "dice", "tversky"), KINDS),
}
# The losses that earlier versions took for classification. All others were regression.
_LONG_KNOWN = (
    *("sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"),
)

# Metrics of classes, and the kinds that they are for. All other metrics compare numbers.
_ANY_CLASSES: tuple[Kind, ...] = ("binary", "multiclass", "multilabel")
_OF_CLASSES: dict[str, tuple[Kind, ...]] = {
    "accuracy": ("binary", "multiclass"),
    **dict.fromkeys(("binary_accuracy", "roc_auc", "auc", "precision", "recall"), _ANY_CLASSES),
    **dict.fromkeys(("categorical_accuracy", "top_k_categorical_accuracy"), ("multiclass",)),
    **dict.fromkeys(
        ("sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"), ("multiclass",)
    ),
    **dict.fromkeys(CLASS_SCORERS, _ANY_CLASSES),
}
_AT_HALF = (
    "accuracy",
    "binary_accuracy",
    "precision",
    "recall",
    "auc",
)  # they count outputs above 0.5


def loss_name(loss: Any) -> str:
    """The snake-case name of a loss given by name, function or object."""
    if isinstance(loss, str):
        name = loss
    else:
        name = str(getattr(loss, "__name__", type(loss).__name__))
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return _SHORT.get(name, name)


def takes_logits(loss: Any) -> bool:
    """Whether a loss takes logits instead of probabilities."""
    settings = {} if inspect.isroutine(loss) else getattr(loss, "__dict__", {})
    return bool(settings.get("from_logits") or settings.get("_fn_kwargs", {}).get("from_logits"))


def takes_one_hot(loss: Any) -> bool:
    """Whether a loss takes classes as one-hot rows."""
    return loss_name(loss) in (*_ONE_HOT, "kl_divergence")


def possible_kinds(loss: Any, metric: str, kind: Kind | None) -> tuple[Kind, ...]:
    """The kinds that are possible with a task's loss, metric and `kind`.

    There are several only where the shape of y decides. Raises DataError where the loss does not
    decide the kind, or the arguments contradict each other.
    """
    name = loss_name(loss)
    known = _LOSSES.get(name)
    if name == "ctc":
        raise DataError("loss 'ctc' is for sequences of unequal length, which are not supported")
    if kind is not None:
        if not isinstance(kind, str) or kind not in KINDS:
            raise DataError(f"kind is one of {', '.join(KINDS)}, got {brief(kind)}")
        if known is not None and kind not in known:
            raise DataError(
                f"kind={kind!r} does not go with loss {name!r}, which is for {' or '.join(known)}; "
                "change one of the two"
            )
        found: tuple[Kind, ...] = (kind,)
    elif name in _OF_NUMBERS and metric not in _OF_CLASSES:
        found = ("regression",)
    elif known is not None and (len(known) == 1 or name in _BY_COLUMNS):
        found = known
    else:
        why = f"metric {metric!r} is for classes, and " if name in _OF_NUMBERS else ""
        near = did_you_mean(name, _LOSSES) if known is None else ""
        raise DataError(
            f"{why}loss {name!r}{near} does not decide the kind of the task; give it by "
            f"Task(..., kind=...): {', '.join(known or KINDS)}"
        )
    if metric in (*NUMBER_SCORERS, *ERROR_FUNCTIONS) and "regression" not in found:
        raise DataError(
            f"metric {metric!r} is for a regression, and this task is {found[0]}; use accuracy, "
            "f1_macro or loss"
        )
    of = _OF_CLASSES.get(metric)
    if metric in ("f1_score", "fbeta_score"):
        raise DataError(
            f"metric {metric!r} gives a number for each class, and trials are ranked by one; "
            "supported are accuracy, roc_auc and loss"
        )
    if of is not None and not set(of) & set(found):
        raise DataError(
            f"metric {metric!r} is for a {' or '.join(of)} task, and this one is {found[0]}; use "
            + ("mae, mse, rmse or loss" if found == ("regression",) else "binary_accuracy or loss")
        )
    return found


def kind_of_targets(kinds: tuple[Kind, ...], y: Array) -> Kind:
    """The one of the possible kinds that the targets are of.

    Where each row is of exactly one class, that is `multiclass`, not `multilabel`.
    """
    if len(kinds) == 1:
        return kinds[0]
    if is_column(y):
        return "binary"
    one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all()
    return "multiclass" if one_hot else "multilabel"


def link_function(kinds: tuple[Kind, ...], loss: Any) -> str:
    """The function from the last layer to predictions: "linear", "sigmoid" or "softmax"."""
    if kinds == ("regression",):
        return "linear"
    # A loss of single probabilities judges each class for itself.
    alone = kinds != ("multiclass",) or loss_name(loss) in _BY_COLUMNS
    return "sigmoid" if alone else "softmax"


def is_sequence(kind: Kind, loss: Any, y: Array) -> bool:
    """Whether each row has a class for each of several steps: a number, or a one-hot vector.

    Only losses that say whether they take numbers tell (rows, steps) from (rows, classes).
    """
    if kind != "multiclass" or is_column(y):
        return False
    return y.ndim == 2 if loss_name(loss) in _SPARSE else y.ndim == 3


def is_numbered(kind: Kind, loss: Any, y: Array) -> bool:
    """Whether classes are numbered 0, 1, 2, ..., a row or a step."""
    return kind == "multiclass" and (is_column(y) or (y.ndim == 2 and is_sequence(kind, loss, y)))


def output_units(kind: Kind, y: Array, loss: Any) -> int:
    """The units of the last layer that the targets need."""
    if is_numbered(kind, loss, y):
        return int(y.max()) + 1
    if is_sequence(kind, loss, y):
        return int(y.shape[2])
    return int(y.shape[1]) if y.ndim > 1 else 1


def classes_of_rows(kind: Kind, y: Array) -> Array | None:
    """The class of each row, shape (rows,), to stratify by; None for a regression.

    For a row with several labels it is the first of them.
    """
    if kind == "regression":
        return None
    return y.reshape(-1) if is_column(y) else np.asarray(y.argmax(axis=1))


def kind_to_store(loss: Any, kind: Kind | None) -> str | None:
    """What a store records of the kind beside the loss, so that a search cannot change it.

    None where the kind is what earlier versions assumed, so that their searches can continue.
    """
    short = isinstance(loss, str) and loss.lower() in _SHORT
    name = loss_name(loss)
    if name in _LONG_KNOWN and not short:
        return None
    if name in (*_SPARSE, *_ONE_HOT, *_BY_COLUMNS):
        return "classes"
    return None if kind == "regression" else kind


def check_targets(
    kind: Kind, loss: Any, metric: Metric, y: Array, outputs: int | None = None
) -> None:
    """Raise DataError for targets that do not fit the kind, the loss or the metric.

    Args:
        outputs: `Task.outputs`.
    """
    name = loss_name(loss)
    _check_shape(kind, name, y, outputs)
    _check_values(kind, loss, y, outputs)
    if metric.function is None:
        _check_metric(kind, loss, metric, y)
    units = output_units(kind, y, loss)
    if outputs is None and kind == "multiclass" and units < 2:
        raise DataError("a multiclass task needs 2 classes or more, and y has one; say outputs=")
    wrong = outputs is not None and outputs != units and y.ndim <= 2
    if wrong and is_numbered(kind, loss, y):
        wrong = outputs is not None and outputs < max(units, 2)  # others have no row here
    if wrong and name in _LOSSES:  # a loss of the user's own may take what it likes
        raise DataError(
            f"outputs={outputs} does not go with y of shape {y.shape}, which is of {units}; leave "
            "outputs out"
        )


def _check_shape(kind: Kind, name: str, y: Array, outputs: int | None) -> None:
    column = is_column(y)
    if y.ndim > 2 and kind != "regression" and not is_sequence(kind, name, y):
        shapes = "(rows,) or (rows, labels)"
        if kind == "multiclass":
            shapes = "(rows,) or (rows, steps" + (")" if name in _SPARSE else ", classes)")
        raise DataError(f"a {kind} task with {name} needs y of shape {shapes}, got {y.shape}")
    if name in _SPARSE and not column and outputs is None and is_one_hot(y):
        raise DataError(
            f"y of shape {y.shape} looks one-hot, and {name} takes numbers of classes; use "
            "categorical_crossentropy, or say outputs=2 if each row has two classes in steps"
        )
    if kind == "binary" and not column:
        raise DataError(
            f"a binary task needs y of shape (rows,), got {y.shape}; say kind='multilabel', or "
            "'multiclass'"
        )
    if kind == "multilabel" and column:
        raise DataError(
            f"a multilabel task needs y of shape (rows, labels), got {y.shape}; say kind='binary'"
        )
    if kind == "multiclass" and column and name in _LOSSES and name not in _SPARSE:
        raise DataError(
            f"{name} needs y of shape (rows, classes), got {y.shape}; one-hot it by "
            "keras.utils.to_categorical(y), or use sparse_categorical_crossentropy"
        )


def _check_values(kind: Kind, loss: Any, y: Array, outputs: int | None) -> None:
    known = y[np.isfinite(y)]  # NaN is checked later: preprocessing may fill it
    if kind == "regression" or not len(known):
        return
    rule = ""
    if is_numbered(kind, loss, y):
        if (known < 0).any() or (known != np.floor(known)).any():
            rule = "classes numbered 0, 1, 2, ..."
        # With outputs=, there may be classes without a row, for example words of a vocabulary.
        elif outputs is None and known.max() >= max(1000, 10 * len(np.unique(known))):
            rule = "classes numbered 0, 1, 2, ... without large gaps, or outputs="
    elif ((known < 0) | (known > 1)).any():
        rule = "targets from 0 to 1"
    if rule:
        raise DataError(
            f"a {kind} task needs {rule}, got y from {known.min()} to {known.max()}; number the "
            "classes anew, as sklearn.preprocessing.LabelEncoder does"
        )
    if kind == "multiclass" and not is_numbered(kind, loss, y):
        sums = y.sum(axis=-1, dtype=np.float64)
        if (np.abs(sums - 1) > 0.01).any():  # and none that is NaN
            raise DataError(
                f"a multiclass task needs one class a row, so that each row of y adds up to 1, got "
                f"{sums[np.abs(sums - 1) > 0.01][0]:g}; of several labels a row, use "
                "binary_crossentropy"
            )


def _check_metric(kind: Kind, loss: Any, wanted: Metric, y: Array) -> None:
    """Raise DataError for a metric that makes no sense here, or would crash in a fit."""
    metric = wanted.own_name
    if kind == "regression" and y.ndim > 2 and metric == "r2_score":
        raise DataError(
            f"metric 'r2_score' needs y of shape (rows,) or (rows, outputs), got {y.shape}; use mse"
        )
    if kind == "regression" or metric == "loss":
        return
    sparse = metric == "accuracy" or metric.startswith("sparse_")
    numbered = is_numbered(kind, loss, y)
    if kind not in _OF_CLASSES.get(metric, KINDS):
        raise DataError(
            f"metric {metric!r} is not for a {kind} task; use binary_accuracy, roc_auc or loss"
        )
    if numbered and not sparse and not wanted.needs_predictions:
        raise DataError(
            f"metric {metric!r} is not supported on classes numbered 0, 1, 2, ...; supported are "
            "accuracy, roc_auc, loss, and scikit-learn's scorers of classes, as f1_macro"
        )
    if not numbered and metric.startswith("sparse_"):
        raise DataError(f"metric {metric!r} needs classes numbered 0, 1, 2, ...; use accuracy")
    argmax = kind == "multiclass" and metric == "accuracy"
    if takes_logits(loss) and metric in _AT_HALF and not argmax:
        raise DataError(
            f"metric {metric!r} takes outputs for probabilities, and the loss takes logits; drop "
            "from_logits=True, or use roc_auc or loss"
        )
    soft = not numbered and not ((y == 0) | (y == 1) | ~np.isfinite(y)).all()
    if soft and metric in _OF_CLASSES and (kind != "multiclass" or metric == "roc_auc"):
        raise DataError(f"metric {metric!r} needs y of 0 and 1, and y has other values; use loss")


def is_column(y: Array) -> bool:
    """Whether each row has a single number."""
    return y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
