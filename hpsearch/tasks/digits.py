"""Digits: 1,797 handwritten digits of 8 x 8 pixels, which come with scikit-learn.

Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998): the test part, as in
`sklearn.datasets.load_digits`. They need no file and no network.
"""

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.task import Task

_TEST = 360


def task() -> Task:
    """Which digit? Rows of 64 pixels in [0, 1]; ranked by accuracy."""
    return Task(name="digits", data=load, loss="sparse_categorical_crossentropy", metric="accuracy")


def load() -> Data:
    """x: (1437, 64) float32 in [0, 1]; y: (1437,) in 0..9; the last 360 rows are the test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    return Data(x=x[:-_TEST], y=y[:-_TEST], x_test=x[-_TEST:], y_test=y[-_TEST:])
