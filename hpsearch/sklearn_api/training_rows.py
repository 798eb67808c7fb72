"""The rows and targets that a fit or a prediction is given, as a task takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import column_or_1d, validate_data

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.frames.rows import FrameCode, encode_frame, is_frame
from hpsearch.core.reading.lazy_rows import LazyRows, open_source
from hpsearch.core.reading.source import Source
from hpsearch.core.reading.text_rows import as_texts
from hpsearch.core.rules import brief
from hpsearch.core.task import Task
from hpsearch.sklearn_api.targets import EncodedTargets, encode_targets


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """The rows of a fit.

    Args:
        x: of shape (rows, ...); LazyRows of a source.
        code: how the user's rows became x; None where they are x itself.
        y: the targets in the user's own form.
        targets: the same as a task takes them.
    """

    x: Any
    code: FrameCode | None
    y: Array
    targets: EncodedTargets

    def make_task(
        self, name: str, preprocess: Any, class_weight: Any, sample_weight: Any, **options: Any
    ) -> tuple[Task, Data]:
        """The task of these rows, and its data.

        Args:
            preprocess: the user's transformer, or None.
            class_weight: by the user's labels.
            sample_weight: of the rows, or None.
            options: more of `Task`; by_row: what `Data` has by row beside these, by name.
        """
        data = Data(
            self.x,
            self.targets.y,
            **options.pop("by_row", {}),
            sample_weight=sample_weight,
            frames={} if self.code is None else {"x": self.code},
        )
        task = Task(
            name,
            data,
            self.targets.loss,
            kind=self.targets.kind,
            preprocess=preprocess,
            class_weight=weigh_numbers(class_weight, self.targets.classes),
            **options,
        )
        task.load()  # checks the targets
        return task, data


def read_training_rows(
    estimator: Any, X: Any, y: Any, *, preprocess: Any, loss: Any, classifies: bool
) -> TrainingRows:
    """Check the rows and targets of a fit, and note their names and number of columns.

    With `preprocess`, a frame stays a frame for it, and so do an array with text, and a list of
    texts; all else becomes an array of numbers. Raises ValueError.
    """
    X = _as_source(X)
    rows = None if preprocess is None else _as_frame_or_objects(X)
    x: Any
    if isinstance(X, Source):
        x, code = _open(estimator, X, reset=True), None
        y = _check_targets(x, y, classifies=classifies)
    elif rows is None:
        x, y = _validate(
            estimator,
            X,
            y,
            **_validation_rules(preprocess),
            multi_output=not classifies,
            y_numeric=not classifies,
            ensure_min_samples=2,
        )
        code = None
    else:
        validate_data(estimator, rows, y, skip_check_array=True)
        y = _check_targets(rows, y, classifies=classifies)
        x, code = encode_frame(rows)
    if classifies:
        y = column_or_1d(y, warn=True)
    return TrainingRows(x, code, y, encode_targets(y, loss, classifies=classifies))


def _check_targets(rows: Any, y: Any, *, classifies: bool) -> Any:
    numeric = None if classifies else "numeric"
    y = check_array(y, ensure_2d=False, dtype=numeric, input_name="y", ensure_min_samples=2)
    check_consistent_length(rows, y)
    return y


def _as_source(X: Any) -> Any:
    """Texts of shape (rows,) as a Source; all else as it is."""
    if isinstance(X, Source):
        return X
    texts = as_texts(X, "X")
    return X if texts is None else texts


def _open(estimator: Any, X: Source, *, reset: bool) -> LazyRows:
    """The rows of a source. reset: note the number of columns; else it must be that of `fit`."""
    x = open_source("X", X)
    if not isinstance(x, LazyRows):
        raise ValueError(f"X gives the inputs {', '.join(x)}; a Study takes several: Data(x=X)")
    if x.dtype.kind == "O":  # texts, which have no columns
        columns = vars(estimator).get("n_features_in_")
        if reset:
            for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
                vars(estimator).pop(name, None)
        elif columns is not None:
            raise ValueError(f"X holds texts, and fit got {columns} features")
        return x
    if x.ndim < 2:
        raise ValueError(f"X needs rows of shape (columns,) or more, got X of shape {x.shape}")
    if reset:
        estimator.n_features_in_ = x.shape[1]
        vars(estimator).pop("feature_names_in_", None)  # of an earlier fit
    elif estimator.n_features_in_ != x.shape[1]:
        raise ValueError(f"X has {x.shape[1]} features, and fit got {estimator.n_features_in_}")
    return x


def read_rows(estimator: Any, X: Any, *, preprocess: Any, code: FrameCode | None) -> Any:
    """Check rows to predict: an array of numbers, or what the fitted transformer takes."""
    X = _as_source(X)
    if isinstance(X, Source):
        if code is not None:
            raise ValueError("fit got a frame or text, and X is a Source, which gives numbers")
        return _open(estimator, X, reset=False)
    if code is None:
        return _validate(estimator, X, reset=False, **_validation_rules(preprocess))
    import pandas as pd

    rows = _as_frame_or_objects(X)
    if rows is None:
        rows = np.asarray(X)
    validate_data(estimator, rows, reset=False, skip_check_array=True)
    if code.columns is None:
        return np.asarray(rows, dtype=object)
    return rows if is_frame(rows) else pd.DataFrame(rows, columns=code.columns)


def _validation_rules(preprocess: Any) -> dict[str, Any]:
    return {"allow_nd": True, "ensure_all_finite": True if preprocess is None else "allow-nan"}


def _validate(estimator: Any, X: Any, *rest: Any, **rules: Any) -> Any:
    try:
        return validate_data(estimator, X, *rest, **rules)
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        raise ValueError(
            f"X holds text ({error}); give preprocess= a transformer that encodes it, as "
            "ColumnTransformer([('text', OneHotEncoder(), COLUMNS)], remainder='passthrough')"
        ) from error


def _as_frame_or_objects(X: Any) -> Any:
    """X where it is a frame, or an array of shape (rows, columns) with text; None otherwise."""
    if is_frame(X):
        return X
    if isinstance(X, list):
        try:
            array = np.asarray(X)
        except ValueError:  # rows of unequal length, which scikit-learn refuses
            return None
        X = np.asarray(X, dtype=object) if array.dtype.kind in "OUS" else array
    is_table = isinstance(X, np.ndarray) and X.ndim == 2
    return X if is_table and X.dtype.kind in "OUS" else None


def weigh_numbers(class_weight: Any, classes: Array | None) -> Any:
    """`class_weight` by the numbers that stand for the labels.

    Args:
        class_weight: a dict by label, "balanced", or None.
        classes: the sorted labels; None of a regression.

    Raises ValueError.
    """
    if not isinstance(class_weight, Mapping):
        return class_weight
    if classes is None:
        raise ValueError("class_weight is for kind='classifier'; use fit(..., sample_weight=)")
    numbers = {label: number for number, label in enumerate(classes.tolist())}
    if unknown := [label for label in class_weight if label not in numbers]:
        raise ValueError(
            f"class_weight has no class {brief(unknown[0])} to weigh; y has "
            f"{brief(classes.tolist())}"
        )
    if missing := [label for label in numbers if label not in class_weight]:
        raise ValueError(f"class_weight gives class {brief(missing[0])} no weight")
    return {numbers[label]: weight for label, weight in class_weight.items()}
