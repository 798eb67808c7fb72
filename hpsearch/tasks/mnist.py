"""MNIST: 60,000 handwritten digits of 28 x 28 pixels, and 10,000 test digits.

LeCun, Cortes and Burges; CC BY-SA 3.0. `Holdout(rows=5000, shuffle=False)` is the split of
Bernico, Deep Learning Quick Reference (2018): 55,000 rows to train on, the last 5,000 held out.
"""

import numpy as np

from hpsearch.task import Array, Data, Task
from hpsearch.tasks import source


def task() -> Task:
    """Which digit? Rows of 784 pixels in [0, 1]; ranked by accuracy."""
    return Task(name="mnist", data=load, loss="sparse_categorical_crossentropy", metric="accuracy")


def load() -> Data:
    """x: (60000, 784) float32 in [0, 1]; y: (60000,) in 0..9; and 10,000 test rows."""
    arrays = source.read_arrays(source.find("mnist.npz"), "x_train", "y_train", "x_test", "y_test")
    return Data(
        x=_flat(arrays["x_train"]),
        y=arrays["y_train"],
        x_test=_flat(arrays["x_test"]),
        y_test=arrays["y_test"],
    )


def _flat(images: Array) -> Array:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
