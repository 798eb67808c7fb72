"""The columns of a table, and how their cells become what `spaces.tabular` takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from hpsearch.core.errors import BuildError, DataError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from spaces import checks

EMBEDDINGS = ("none", "piecewise", "periodic")
EMBEDDING, BINS = "periodic", 8
"""What `preprocess` and `tabular.model` take where the space does not say."""

FEW = 8  # a category of at most so many values becomes an input for each; of more, an embedding

Column = str | int


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are numbers, and which are categories.

    Args:
        numbers: names of columns, or their places in an array.
        categories: for each column of categories, the values that it may have. A value that the
            training rows of a fold do not have is unknown there, as one that is not named.
        missing: those of the numbers whose cells may be missing: the network is told where.

    Raises DataError for a column that is named twice, and for categories without values.
    """

    numbers: tuple[Column, ...] = ()
    categories: Mapping[Column, tuple[Any, ...]] = field(default_factory=dict)
    missing: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.categories, Mapping):
            raise DataError(
                "categories names the values of each column, as {'job': ('clerk', 'cook')}, got "
                f"{brief(self.categories)}"
            )
        for name, values in self.categories.items():
            if isinstance(values, str | bytes) or not isinstance(values, Sequence) or not values:
                raise DataError(
                    f"the category {brief(name)} needs its values, as ('clerk', 'cook'), got "
                    f"{brief(values)}; Columns.of(frame) finds them"
                )
        for option in ("numbers", "missing"):
            object.__setattr__(self, option, _list_names(option, getattr(self, option)))
        named = [*self.numbers, *self.categories]
        if not named:
            raise DataError("Columns needs numbers= or categories=, got neither")
        if twice := [name for name in named if named.count(name) > 1]:
            raise DataError(f"the column {brief(twice[0])} is named twice; name it once")
        if unknown := [name for name in self.missing if name not in self.numbers]:
            raise DataError(f"missing= names {brief(unknown[0])}, which is not among the numbers")

    @classmethod
    def of(cls, x: Any, categories: Sequence[Column] = ()) -> Self:
        """The columns of a frame, or of an array of shape (rows, columns).

        Numbers are numbers; texts, pandas's categories and booleans are categories.

        Args:
            categories: columns of numbers that are categories all the same, as postcodes are.

        Raises DataError for rows that are no table, and for dates.
        """
        import pandas as pd

        if not isinstance(x, pd.DataFrame):
            if len(shape := getattr(x, "shape", ())) != 2:
                raise DataError(
                    "Columns.of takes a frame, or an array of shape (rows, columns), got "
                    f"{f'shape {tuple(shape)}' if shape else brief(x)}; for images use spaces.cnn"
                )
            x = pd.DataFrame(x)
        if unknown := [name for name in categories if name not in x]:
            raise DataError(f"x has no column {brief(unknown[0])}{did_you_mean(unknown[0], x)}")
        numbers, coded, missing = [], {}, []
        for name, column in x.items():
            types = pd.api.types
            if types.is_datetime64_any_dtype(column) or types.is_timedelta64_dtype(column):
                raise DataError(
                    f"the column {brief(name)} holds times; make numbers of it, as the hour or "
                    "the days since the first one"
                )
            is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
            if not is_number or name in categories:
                coded[name] = _find_values(name, column)
                continue
            numbers.append(name)
            if column.isna().any():
                missing.append(name)
        return cls(tuple(numbers), coded, tuple(missing))

    @property
    def few(self) -> dict[Column, tuple[Any, ...]]:
        """The categories that become an input of 0 or 1 for each of their values."""
        return {name: tuple(v) for name, v in self.categories.items() if len(v) <= FEW}

    @property
    def many(self) -> dict[Column, tuple[Any, ...]]:
        """The categories that become one whole number, whose embedding is learned."""
        return {name: tuple(v) for name, v in self.categories.items() if len(v) > FEW}

    @property
    def flags(self) -> int:
        """How many inputs are 0 or 1: whether a number is missing, and which of few values it is."""
        return len(self.missing) + sum(map(len, self.few.values()))

    @property
    def width(self) -> int:
        """Inputs of a prepared row: numbers, then flags, then the codes of categories of many."""
        return len(self.numbers) + self.flags + len(self.many)


def _list_names(option: str, given: Any) -> tuple[Column, ...]:
    """Names of columns, or their places. Raises DataError for anything else, as one text."""
    try:
        found = () if isinstance(given, str | bytes | Mapping) else tuple(given)
        is_list = not isinstance(given, str | bytes | Mapping)
    except TypeError:
        found, is_list = (), False
    if not is_list or not all(isinstance(name, str | int | np.integer) for name in found):
        raise DataError(
            f"{option}= lists columns by name or place, as ('age', 'income'), got {brief(given)}"
        )
    return found


def _find_values(name: Any, column: Any) -> tuple[Any, ...]:
    """The values of a column of categories, in order."""
    found = column.dropna().unique().tolist()
    if not found:
        raise DataError(f"the column {brief(name)} has no value in any row; leave it out")
    try:
        return tuple(sorted(found))
    except TypeError:  # of several types
        return tuple(sorted(found, key=lambda value: (type(value).__name__, value)))


def preprocess(columns: Columns) -> Callable[..., Any]:
    """`Task(preprocess=)` of a table, for `tabular.model(columns)`; fitted on each fold's rows.

    Missing numbers become the median. For piecewise-linear embeddings, each number then becomes its
    place among the quantiles that bound the bins (0 to `bins`); for others it is scaled by median
    and quartiles. A missing or unknown category is 0 throughout.

    Returns a function of the parameters `embedding` and `bins` of the space, where that has them.
    """
    if not isinstance(columns, Columns):
        raise BuildError(
            f"tabular.preprocess takes Columns, as tabular.Columns.of(frame), got {brief(columns)}"
        )
    return partial(_make_transformer, columns)


def _make_transformer(columns: Columns, embedding: str = EMBEDDING, bins: int = BINS) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    scaled = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), _make_scaler(embedding, bins)
    )
    one_hot = OneHotEncoder(
        categories=[list(values) for values in columns.few.values()],
        handle_unknown="ignore",
        sparse_output=False,
    )
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    parts = [
        ("numbers", scaled, list(columns.numbers)),
        ("missing", MissingIndicator(features="all"), list(columns.missing)),
        ("few", one_hot, list(columns.few)),
        ("many", codes, list(columns.many)),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def _make_scaler(embedding: str, bins: int) -> Any:
    from sklearn.preprocessing import QuantileTransformer, RobustScaler

    check_embedding(embedding)
    if embedding != "piecewise":
        return RobustScaler()
    bins = checks.whole({"bins": bins}, "bins", least=2)
    # Between quantiles it is linear in the number: `bins` times it is the sum of the encoding.
    return QuantileTransformer(n_quantiles=bins + 1, subsample=None)


def check_embedding(embedding: Any) -> None:
    """Raise BuildError for an unknown embedding."""
    if not isinstance(embedding, str) or embedding not in EMBEDDINGS:
        raise BuildError(
            f"unknown embedding {brief(embedding)}{did_you_mean(str(embedding), EMBEDDINGS)}; "
            f"known: {', '.join(EMBEDDINGS)}"
        )


def code_offsets(columns: Columns) -> tuple[list[float], int]:
    """What is added to each code (-1: unknown) for its row in one table of embeddings; its rows."""
    sizes = [len(values) + 1 for values in columns.many.values()]
    starts = np.cumsum([0, *sizes])
    return [float(start + 1) for start in starts[:-1]], int(starts[-1])
