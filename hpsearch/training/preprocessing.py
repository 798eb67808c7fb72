"""Fit a task's preprocessing on the training rows of a split, and prepare rows by it.

Rows in memory, and few rows of a source, are prepared at once; many rows of a source chunk by chunk.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from hpsearch.core.array_types import is_sparse, to_dense
from hpsearch.core.arrays import Array, Inputs, is_lazy, to_number_array
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.preparing_layers import is_preparing_layer
from hpsearch.core.reading.lazy_rows import LazyRows, open_source
from hpsearch.core.reading.sparse_rows import SparseRows
from hpsearch.training.base import Split
from hpsearch.training.layer_transformer import LayerTransformer, describe_layer

_MOST_PREPARED = 2**28  # bytes of a source's rows that are preprocessed at once, in memory
_MOST_KEPT = 16  # fitted transformers of a source's splits
_FITTED: WeakKeyDictionary[Data, list[tuple[Any, Split, Any]]] = WeakKeyDictionary()


def find_fitted(transformer: Any, data: Data, split: Split, x: Inputs) -> Any:
    """The transformer as fitted on a split's training rows x.

    Those of a source are read for it once: what was fitted on the last splits is kept.
    """
    kept = _FITTED.setdefault(data, [])
    for before, where, fitted in kept:
        if before is transformer and where is split:
            return fitted
    fitted = _fit_transformer(
        transformer, x, data.y[split.train] if isinstance(data.y, np.ndarray) else None
    )
    if is_lazy(x):
        kept.append((transformer, split, fitted))
        del kept[:-_MOST_KEPT]
    return fitted


def transform_inputs(fitted: Any, x: Inputs) -> Inputs:
    """Preprocess x by a fitted transformer, or by a dict of them by input; None: x as it is."""
    if fitted is None:
        return x
    if isinstance(x, Mapping):
        return {
            name: transform_inputs(fitted[name], array) if name in fitted else array
            for name, array in x.items()
        }
    if not isinstance(x, LazyRows):
        return _to_numbers(fitted.transform(x))
    if not _is_small(x):
        return x.map(lambda rows: _to_numbers(fitted.transform(rows)))
    found = fitted.transform(_read_as_given(x))
    if is_sparse(found):  # as from texts: dense, it might not fit
        return open_source("x", SparseRows(found))
    return _to_numbers(found)


@contextmanager
def name_failing_transformer(transformer: Any) -> Iterator[None]:
    """Raise errors of preprocessing as a DataError that names the transformer."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"preprocess={' '.join(_describe(transformer).split())} fails on the task's x: "
            f"{first_line(error)}"
        ) from error


def _describe(transformer: Any) -> str:
    return describe_layer(transformer) if is_preparing_layer(transformer) else repr(transformer)


def _fit_transformer(transformer: Any, x: Inputs, y: Array | None) -> Any:
    from sklearn.base import clone

    if is_preparing_layer(transformer):
        transformer = LayerTransformer(transformer)
    if isinstance(x, LazyRows):
        return _fit_on_source(clone(transformer), x, y)
    if not isinstance(x, Mapping):
        return clone(transformer).fit(x, y)
    if not isinstance(transformer, dict) or not set(transformer) <= set(x):
        raise DataError(
            f"preprocess for several inputs is a dict with keys of {', '.join(x)}, "
            f"got {transformer!r}"
        )
    return {
        name: None if each is None else _fit_transformer(each, x[name], y)
        for name, each in transformer.items()
    }


def _fit_on_source(transformer: Any, x: LazyRows, y: Array | None) -> Any:
    """Fit on rows in memory, where they are few, or chunk by chunk."""
    in_parts = callable(getattr(transformer, "partial_fit", None))
    if x.is_sparse or (x.dtype.kind == "O" and not in_parts) or _is_small(x):
        return transformer.fit(_read_as_given(x), y)
    if not in_parts:
        raise DataError(
            f"preprocess={transformer!r} needs all training rows in memory, and they take "
            f"{x.nbytes / 2**30:.1f} GiB; take one with partial_fit, as StandardScaler() or "
            "IncrementalPCA(), or a layer of the model"
        )
    for chunk in x.chunks():
        transformer.partial_fit(chunk)
    return transformer


def _is_small(x: LazyRows) -> bool:
    """Whether preprocessing takes all rows at once: then it rounds as for an array, and goes once."""
    return x.nbytes <= _MOST_PREPARED


def _read_as_given(x: LazyRows) -> Any:
    """All rows; those of a sparse source sparse."""
    return x.fetch(slice(None)) if x.is_sparse else x.read()


def _to_numbers(prepared: Any) -> Array:
    """What a transformer gives as an array of numbers. Raises DataError where it is none."""
    found = to_dense(prepared)
    if found.dtype == object:  # columns of several types, which may hold pandas's NA
        import pandas as pd

        found = np.where(pd.isna(found), np.nan, found)
    return to_number_array("what preprocess= gives", found)
