"""Transformers of tables, for windows: each channel is a column."""

from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.metaestimators import available_if

from hpsearch.core.array_types import Array, to_dense
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief
from hpsearch.core.searched_preprocessing import is_transformer
from hpsearch.transformers.window_shape import check_windows


class PerChannel(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scale windows by a transformer of tables, whose columns are the channels.

        Task("prices", windows.data(), preprocess=PerChannel(StandardScaler()))

    It is fitted on the instants of all training windows, as many times as windows have them. A
    window's values are then changed in the same way at each of its instants.

    Args:
        transformer: of scikit-learn's, as StandardScaler(), that takes a table and gives one with
            as many rows.

    Takes windows of shape (rows, instants, channels), and gives (rows, instants, new channels).
    """

    def __init__(self, transformer: Any) -> None:
        if not is_transformer(transformer):
            raise DataError(
                "PerChannel needs a transformer of scikit-learn's, as StandardScaler(), got "
                f"{brief(transformer)}"
            )
        self.transformer = transformer

    def fit(self, x: Any, y: Any = None) -> "PerChannel":
        """Fit the transformer on the instants of all windows."""
        self.transformer_ = clone(self.transformer).fit(_as_table(x))
        return self

    @available_if(lambda self: callable(getattr(self.transformer, "partial_fit", None)))  # type: ignore[untyped-decorator]
    def partial_fit(self, x: Any, y: Any = None) -> "PerChannel":
        """Fit the transformer on more windows."""
        if not hasattr(self, "transformer_"):
            self.transformer_ = clone(self.transformer)
        self.transformer_.partial_fit(_as_table(x))
        return self

    def transform(self, x: Any) -> Array:
        """The windows with each instant's channels transformed."""
        windows = check_windows("PerChannel", x)
        table = to_dense(self.transformer_.transform(_as_table(windows)))
        return table.reshape(*windows.shape[:2], -1)


def _as_table(x: Any) -> Array:
    """Windows as a table with a row an instant and a column a channel."""
    windows = check_windows("PerChannel", x)
    return windows.reshape(-1, windows.shape[2])
