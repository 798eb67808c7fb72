"""Digits: 1,797 handwritten digits of 8 x 8 pixels, which come with scikit-learn.

Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998): the test part, as in
`sklearn.datasets.load_digits`. They need no file and no network.
"""

import importlib.util
from pathlib import Path

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task

_TEST = 360


def task() -> Task:
    """Which digit? Rows of 64 pixels in [0, 1]; ranked by accuracy."""
    return Task(name="digits", data=load, loss="sparse_categorical_crossentropy", metric="accuracy")


def load() -> Data:
    """x: (1437, 64) float32 in [0, 1]; y: (1437,) in 0..9; the last 360 rows are the test."""
    x, y = _read_digits()
    x = (x / 16).astype(np.float32)
    return Data(x=x[:-_TEST], y=y[:-_TEST], x_test=x[-_TEST:], y_test=y[-_TEST:])


def _read_digits() -> tuple[Array, Array]:
    """All rows in 0..16, and their digits, as `load_digits` has them.

    From scikit-learn's file, where it lies in its usual place: importing scikit-learn takes longer
    than a first trial trains.
    """
    found = importlib.util.find_spec("sklearn")
    for folder in (found and found.submodule_search_locations) or ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x, y
