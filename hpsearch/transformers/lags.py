"""Which of a window's values a model gets."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from hpsearch.core.array_types import Array
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief
from hpsearch.transformers.window_shape import check_windows


class Lags(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keep the last `lags` values of each window, so that their number can be searched.

        Task("prices", windows.data(), preprocess=lambda lags, stride: Lags(lags, stride))

    All trials are validated on the same instants, because the rows stay the same: make the windows
    as long as the longest lags need. Nothing is fitted.

    Args:
        lags: how many values to keep, at least 1.
        stride: each how many instants after the one before; the last value is always kept.
        difference: give the change of each value from that `stride` instants before instead of the
            value itself, as float64 where values are integers: it needs one value more.

    Takes windows of shape (rows, instants, channels), the oldest value first, and gives
    (rows, lags, channels). Raises DataError where windows have fewer than (lags - 1) * stride + 1
    instants, or lags * stride + 1 for differences.
    """

    def __init__(self, lags: int, stride: int = 1, difference: bool = False) -> None:
        for name, value in (("lags", lags), ("stride", stride)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < 1:
                raise DataError(f"Lags needs {name}= a whole number from 1 on, got {brief(value)}")
        if not isinstance(difference, bool):
            raise DataError(f"Lags needs difference=True or False, got {brief(difference)}")
        self.lags, self.stride, self.difference = lags, stride, difference

    def fit(self, x: Any, y: Any = None) -> "Lags":
        """Check that the windows are long enough."""
        self._kept_places(check_windows("Lags", x).shape[1])
        return self

    def partial_fit(self, x: Any, y: Any = None) -> "Lags":
        """As `fit`: rows may come in parts."""
        return self.fit(x)

    def transform(self, x: Any) -> Array:
        """The kept values, the oldest first."""
        windows = check_windows("Lags", x)
        kept = windows[:, self._kept_places(windows.shape[1])]
        if not self.difference:
            return kept.copy()  # a view would keep the whole windows in memory
        return np.diff(kept if kept.dtype.kind == "f" else kept.astype(np.float64), axis=1)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _kept_places(self, instants: int) -> slice:
        """Which values of a window of so many are kept, or subtracted from each other."""
        before = (self.lags - 1 + self.difference) * self.stride  # the last value
        if before >= instants:
            stride = "" if self.stride == 1 else f", stride={brief(self.stride)}"
            raise DataError(
                f"Lags(lags={brief(self.lags)}{stride}) needs windows of "
                f"{brief(before + 1)} instants, and these have {instants}; make "
                f"Windows(lags={brief(before + 1)}), or search fewer"
            )
        return slice(instants - 1 - before, None, self.stride)
