"""White wine: the alcohol of 4,898 wines, from ten other measurements.

Cortez et al., Modeling wine preferences by data mining from physicochemical properties (2009); UCI.
As in Bernico, Deep Learning Quick Reference (2018), 80 % of the rows are to train on, 10 % to
validate (`Holdout(fraction=1 / 9)`) and 10 % to test. Some 900 rows are copies of others, and a
copy may be on the other side of a split, there as here; all models then look better than they are.
The judges' grade (quality) is left out. The book's code leaves out the sulphates too, and divides
columns by the training rows' deviations as here. The stand-in is scikit-learn's wine data.
"""

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.tasks import source

COLUMNS = (
    "fixed acidity",
    "volatile acidity",
    "citric acid",
    "residual sugar",
    "chlorides",
    "free sulfur dioxide",
    "total sulfur dioxide",
    "density",
    "pH",
    "sulphates",
)
_HEADER = ";".join(f'"{name}"' for name in (*COLUMNS, "alcohol", "quality"))
_SHAPE = (4898, 12)


def task() -> Task:
    """How much alcohol? In standard deviations (1.2 % by volume); ranked by mean absolute error."""
    from sklearn.preprocessing import StandardScaler

    return source.make_task(
        "wine", load, _load_cultivars, loss="mse", metric="mae", preprocess=StandardScaler()
    )


def load() -> Data:
    """x: (4408, 10); y: (4408,), of mean 0 and standard deviation 1; and 490 test rows.

    The test's y has the same unit, which is that of the searched rows only.
    """
    path = source.find_file("winequality-white.csv")
    table = source.read_table(path, source.read_bytes(path), _HEADER, ";", _SHAPE)
    return _split_off_test(table[:, : len(COLUMNS)], table[:, len(COLUMNS)], COLUMNS)


def _load_cultivars() -> Data:
    from sklearn.datasets import load_wine

    table = load_wine()
    return _split_off_test(table.data[:, 1:], table.data[:, 0], tuple(table.feature_names[1:]))


def _split_off_test(x: Array, alcohol: Array, columns: tuple[str, ...]) -> Data:
    order = np.random.default_rng(0).permutation(len(x))
    test, searched = np.split(order, [round(0.1 * len(x))])
    # In the unit of the book, so that errors compare with its figures.
    y = (alcohol - alcohol[searched].mean()) / alcohol[searched].std()
    return Data(x[searched], y[searched], x[test], y[test], columns=columns)
