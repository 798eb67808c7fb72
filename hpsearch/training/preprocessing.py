"""Fit a task's preprocessing on the training rows of a split, and prepare rows by it.

Rows in memory, and few rows of a source, are prepared at once; many rows of a source chunk by chunk.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from hpsearch.core.array_types import is_sparse, to_dense
from hpsearch.core.arrays import Array, Inputs, is_lazy, to_number_array, view_rows
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError, HpsearchError, TrialFailed, first_line
from hpsearch.core.frames.rows import decode_inputs, is_frame
from hpsearch.core.preparing_layers import is_preparing_layer
from hpsearch.core.reading.lazy_rows import LazyRows, open_source
from hpsearch.core.reading.sparse_rows import SparseRows
from hpsearch.core.rules import brief
from hpsearch.core.searched_preprocessing import PreprocessingFailed
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.training.base import Split
from hpsearch.training.fresh_transformers import copy_seeded, encodes_targets
from hpsearch.training.layer_transformer import LayerTransformer, describe_layer
from hpsearch.training.prepared_cache import PreparedCache, PreparedSplit

_MOST_PREPARED = 2**28  # bytes of a source's rows that are preprocessed at once, in memory
_CACHE = PreparedCache()


def prepare_split(task: Task, data: Data, split: Split) -> tuple[Any, Inputs, Inputs]:
    """The fitted transformer, and a split's training and validation rows as it prepares them.

    It is fitted on the training rows alone, once for each split: see `PreparedCache`. Raises
    BuildError where a function makes it and cannot, DataError where it fails on these rows.
    """
    kept = _CACHE.find(task.preprocess, data, split)
    if kept is None or kept.x is None:
        chosen = task.with_preprocessing(split.preprocessing)
        chosen.check_frames(data)
        frames = chosen.frames_to_prepare(data)
        with name_failing_transformer(chosen.preprocess, split.preprocessing):
            x, x_validation = (
                decode_inputs(copy_rows(view_rows(data.x, rows), only_views=True), frames)
                for rows in (split.train, split.validation)
            )
            y = data.y[split.train] if isinstance(data.y, np.ndarray) else None
            if kept is None:
                # On a copy: a step of a pipeline may change rows in place when it is fitted.
                kept = PreparedSplit(_fit_transformer(chosen.preprocess, copy_rows(x), y))
            prepared = (
                _transform_training(chosen.preprocess, kept.fitted, x, y),
                _transform(kept.fitted, x_validation),
            )
            _check_same_columns(*prepared)
        # Those of a source that are prepared when they are read are not kept.
        if not any(map(is_lazy, prepared)):
            kept = PreparedSplit(kept.fitted, *prepared)
        _CACHE.keep(task.preprocess, data, split, kept)
    else:
        prepared = kept.x, kept.x_validation
    x, x_validation = (_finish(part, data.x) for part in prepared)
    return kept.fitted, x, x_validation


def transform_inputs(fitted: Any, x: Inputs) -> Inputs:
    """Preprocess x by a fitted transformer, or by a dict of them by input; None: x as it is."""
    return x if fitted is None else _finish(_transform(fitted, copy_rows(x)), x)


def copy_rows(x: Inputs, *, only_views: bool = False) -> Inputs:
    """Copies of arrays and frames, which a transformer may change in place; others as they are.

    Args:
        only_views: copy only arrays that are a part of others, as neighbouring rows are.
    """
    if isinstance(x, Mapping):
        return {name: copy_rows(array, only_views=only_views) for name, array in x.items()}
    if only_views:
        return x.copy() if isinstance(x, np.ndarray) and x.base is not None else x
    return x.copy() if isinstance(x, np.ndarray) or is_frame(x) else x


def describe_transformer(transformer: Any) -> str:
    """A transformer, a layer, or a dict of them by input, in one line."""
    if isinstance(transformer, Mapping):
        parts = (f"{name!r}: {describe_transformer(each)}" for name, each in transformer.items())
        return "{" + ", ".join(parts) + "}"
    if is_preparing_layer(transformer):
        return describe_layer(transformer)
    return " ".join(repr(transformer).split())


@contextmanager
def name_failing_transformer(transformer: Any, params: Params) -> Iterator[None]:
    """Raise errors of preprocessing as one that names the transformer.

    Args:
        transformer: the transformer.
        params: by which a point made it. Then other points may do better: it is their
            PreprocessingFailed. Without, it is a DataError.
    """
    try:
        yield
    except (HpsearchError, TrialFailed, KeyboardInterrupt):
        raise
    except BaseException as error:  # also SystemExit: a transformer may not end the command
        message = f"preprocess={describe_transformer(transformer)} fails on the task's x: {first_line(error)}"
        if "array with dim 3" in message:  # scikit-learn's words for windows and other sequences
            message += "; of rows of shape (steps, channels), scale each channel: PerChannel(StandardScaler())"
        if params:
            raise PreprocessingFailed(message, params) from error
        raise DataError(message) from error


def _transform(fitted: Any, x: Inputs) -> Any:
    """x as a transformer gives it: arrays of numbers, sparse matrices, or rows that are read later."""
    if fitted is None:
        return x
    if isinstance(x, Mapping):
        return {name: _transform(fitted.get(name), array) for name, array in x.items()}
    if isinstance(x, LazyRows) and not _is_small(x):
        prepared = _map_rows(fitted, x)
        # What is few by now, as short windows of long ones, is prepared once.
        return prepared.read() if _is_small(prepared) else prepared
    return _transform_rows(fitted, _read_as_given(x) if isinstance(x, LazyRows) else x)


def _transform_rows(fitted: Any, rows: Any) -> Any:
    """An array of numbers, or a sparse matrix. Raises DataError where other rows come back."""
    found = fitted.transform(rows)
    found = found if is_sparse(found) else _to_numbers(found)
    if found.shape[0] != rows.shape[0]:
        raise DataError(
            f"preprocess={describe_transformer(fitted)} gives {found.shape[0]} rows of "
            f"{rows.shape[0]}, and their targets would be those of others; give a row for each"
        )
    return found


def _check_same_columns(x: Any, x_validation: Any) -> None:
    """Raise DataError where training and validation rows are prepared to other shapes."""
    if isinstance(x, Mapping):
        for name, part in x.items():
            _check_same_columns(part, x_validation[name])
    elif x.shape[1:] != x_validation.shape[1:]:
        raise DataError(
            f"preprocess= gives training rows of shape {tuple(x.shape[1:])}, and validation rows of "
            f"{tuple(x_validation.shape[1:])}; give all rows the shape of those it was fitted on"
        )


def _transform_training(transformer: Any, fitted: Any, x: Inputs, y: Array | None) -> Any:
    """As `_transform` of the rows that it was fitted on."""
    if isinstance(x, Mapping):
        return {
            name: _transform_training(transformer.get(name), fitted.get(name), array, y)
            for name, array in x.items()
        }
    if fitted is None or is_preparing_layer(transformer) or not encodes_targets(transformer):
        return _transform(fitted, x)
    rows = _read_as_given(x) if isinstance(x, LazyRows) else x
    return _to_numbers(copy_seeded(transformer).fit_transform(rows, y))


def _finish(prepared: Any, x: Inputs) -> Any:
    """Prepared rows as training takes them. x: what they were prepared from, or others like it."""
    if isinstance(x, Mapping):
        return {name: _finish(part, x[name]) for name, part in prepared.items()}
    if not is_sparse(prepared):
        return prepared
    if isinstance(x, LazyRows):  # as from texts: dense, it might not fit
        return open_source("x", SparseRows(prepared))
    return _to_numbers(prepared)


def _copy_unfitted(transformer: Any) -> Any:
    """A transformer like it, not fitted: of a layer, one that prepares rows by it."""
    if is_preparing_layer(transformer):
        return LayerTransformer(transformer)
    return copy_seeded(transformer)


def _fit_transformer(transformer: Any, x: Inputs, y: Array | None) -> Any:
    if isinstance(x, Mapping):
        if not isinstance(transformer, Mapping) or not set(transformer) <= set(x):
            raise DataError(
                f"preprocess for several inputs is a dict with keys of {', '.join(x)}, "
                f"got {transformer!r}"
            )
        return {
            name: None if each is None else _fit_transformer(each, x[name], y)
            for name, each in transformer.items()
        }
    if isinstance(transformer, Mapping):
        raise DataError(
            f"preprocess is a dict where there are several inputs, and x is one; give its "
            f"transformer alone, got {transformer!r}"
        )
    if isinstance(x, LazyRows):
        return _fit_on_source(_copy_unfitted(transformer), x, y)
    return _check_fitted(_copy_unfitted(transformer).fit(x, y), transformer)


def _check_fitted(fitted: Any, transformer: Any) -> Any:
    """What `fit` returned. Raises DataError where that is no transformer."""
    if not callable(getattr(fitted, "transform", None)):
        raise DataError(
            f"fit of preprocess={describe_transformer(transformer)} must return the transformer, got "
            f"{brief(fitted)}; end it with return self"
        )
    return fitted


def _fit_on_source(transformer: Any, x: LazyRows, y: Array | None) -> Any:
    """Fit on rows in memory, where they are few, or chunk by chunk."""
    in_parts = callable(getattr(transformer, "partial_fit", None))
    if x.is_sparse or (x.dtype.kind == "O" and not in_parts) or _is_small(x):
        return _check_fitted(transformer.fit(_read_as_given(x), y), transformer)
    if _is_pipeline(transformer):
        return _fit_steps(transformer, x, y)
    if not in_parts:
        raise DataError(
            f"preprocess={transformer!r} needs all training rows in memory, and they take "
            f"{x.nbytes / 2**30:.1f} GiB; take one with partial_fit, as StandardScaler() or "
            "IncrementalPCA(), or a layer of the model"
        )
    for chunk in x.chunks():
        transformer.partial_fit(chunk)
    return transformer


def _is_pipeline(transformer: Any) -> bool:
    from sklearn.pipeline import Pipeline

    return isinstance(transformer, Pipeline)


def _fit_steps(pipeline: Any, x: LazyRows, y: Array | None) -> Any:
    """Fit the steps of a pipeline one after the other, each on what those before it give."""
    steps = []
    for name, step in pipeline.steps:
        if step is not None and step != "passthrough":
            step = _fit_on_source(step, x, y)
            x = _map_rows(step, x)
        steps.append((name, step))
    pipeline.steps = steps
    return pipeline


def _map_rows(fitted: Any, x: LazyRows) -> LazyRows:
    """Rows that are transformed when they are read."""
    return x.map(lambda rows: to_dense(_transform_rows(fitted, rows)))


def _is_small(x: LazyRows) -> bool:
    """Whether preprocessing takes all rows at once: then it rounds as for an array, and goes once."""
    return x.nbytes <= _MOST_PREPARED


def _read_as_given(x: LazyRows) -> Any:
    """All rows; those of a sparse source sparse."""
    return x.fetch(slice(None)) if x.is_sparse else x.read()


def _to_numbers(prepared: Any) -> Array:
    """What a transformer gives as an array of numbers. Raises DataError where it is none."""
    found = prepared if isinstance(prepared, np.ma.MaskedArray) else to_dense(prepared)
    if found.dtype == object:  # columns of several types, which may hold pandas's NA
        import pandas as pd

        found = np.where(pd.isna(found), np.nan, found)
    return to_number_array("what preprocess= gives", found)
