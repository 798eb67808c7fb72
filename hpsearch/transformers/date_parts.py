"""Times as numbers that a network can learn from: a transformer for `Task(preprocess=)`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief

CYCLES = {"month": 12.0, "weekday": 7.0, "hour": 24.0}
"""Parts that come around again, and after how many units."""

PARTS = ("days", *CYCLES)


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns each column of times into numbers, float64; a missing time gives NaN.

    Args:
        parts: any of "days", since 2000; and "month", "weekday", "hour" (with its minutes), each as
            a point on a circle, sine and cosine, so that December is next to January.

    `transform` takes a frame, or an array of times, of shape (rows, columns), and gives shape
    (rows, columns * numbers of all parts). Raises DataError for other parts.
    """

    def __init__(self, parts: Sequence[str] = PARTS) -> None:
        self.parts = parts

    def fit(self, x: Any, y: Any = None) -> "DateParts":
        """Check the parts; nothing is learned from the rows."""
        if not self.parts or (unknown := [each for each in self.parts if each not in PARTS]):
            raise DataError(
                f"DateParts needs some of {', '.join(PARTS)}, got "
                f"{brief(unknown[0] if self.parts else self.parts)}"
            )
        self.n_features_in_ = np.shape(x)[1]
        self.feature_names_in_ = np.asarray(
            getattr(x, "columns", [f"x{place}" for place in range(self.n_features_in_)]), object
        )
        return self

    def transform(self, x: Any) -> Array:
        """The numbers of each column's times, one column of times after the other."""
        import pandas as pd

        frame = pd.DataFrame(x)
        columns = (pd.to_datetime(frame.iloc[:, place]) for place in range(frame.shape[1]))
        found = [part for times in columns for name in self.parts for part in _compute(name, times)]
        return np.column_stack(found)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """The names of the numbers, as "when_days" or "when_month_sin"."""
        names = self.feature_names_in_ if input_features is None else input_features
        return np.asarray(
            [
                f"{name}_{part}{end}"
                for name in names
                for part in self.parts
                for end in (("_sin", "_cos") if part in CYCLES else ("",))
            ],
            dtype=object,
        )


def _compute(part: str, times: Any) -> list[Array]:
    """The numbers that a part of times gives, each of shape (rows,)."""
    import pandas as pd

    if part == "days":
        since = times.dt.tz_localize(None) - pd.Timestamp(2000, 1, 1)  # by the clock on the wall
        return [(since / pd.Timedelta(days=1)).to_numpy(np.float64)]
    at = {
        "month": times.dt.month - 1,
        "weekday": times.dt.day_of_week,
        "hour": times.dt.hour + times.dt.minute / 60,
    }[part]
    angle = at.to_numpy(np.float64, na_value=np.nan) * (2 * np.pi / CYCLES[part])
    return [np.sin(angle), np.cos(angle)]
