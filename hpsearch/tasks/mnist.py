"""MNIST: 60,000 handwritten digits of 28 x 28 pixels, and 10,000 test digits.

LeCun, Cortes and Burges; CC BY-SA 3.0. `Holdout(fraction=1 / 12, shuffle=False)` is the split of the
code of Bernico, Deep Learning Quick Reference (2018): 55,000 rows to train on, the last 5,000 to
validate; its text says 50,000 to train on.
The stand-in is scikit-learn's digits, of 8 x 8 pixels.
"""

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.tasks import digits, source

_LOSS = "sparse_categorical_crossentropy"


def task(metric: str = "accuracy") -> Task:
    """Which digit? Rows of 784 pixels in [0, 1]."""
    return source.make_task("mnist", load, digits.load, loss=_LOSS, metric=metric)


def images(metric: str = "accuracy") -> Task:
    """Which digit? Images of shape (28, 28, 1) in [0, 1], for convolutional networks."""
    return source.make_task(
        "mnist_images", load_images, _load_digit_images, loss=_LOSS, metric=metric
    )


def load() -> Data:
    """x: (60000, 784) float32 in [0, 1]; y: (60000,) in 0..9; and 10,000 test rows."""
    data = load_images()
    return Data(_flatten(data.x), data.y, _flatten(data.x_test), data.y_test)


def load_images() -> Data:
    """As `load`, with x: (60000, 28, 28, 1)."""
    path = source.find_file("mnist.npz")
    arrays = source.read_arrays(
        path, x_train=("n", 28, 28), y_train=("n",), x_test=("t", 28, 28), y_test=("t",)
    )
    for name, array in arrays.items():
        source.check_numbers(path, array, 0, 9 if name.startswith("y") else 255, whole=True)
    return Data(
        x=_to_images(arrays["x_train"]),
        y=arrays["y_train"],
        x_test=_to_images(arrays["x_test"]),
        y_test=arrays["y_test"],
    )


def _load_digit_images() -> Data:
    data = digits.load()
    return Data(_to_square(data.x), data.y, _to_square(data.x_test), data.y_test)


def _to_images(images: Array) -> Array:
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def _flatten(images: object) -> Array:
    array = np.asarray(images)
    return array.reshape(len(array), -1)


def _to_square(rows: object) -> Array:
    return np.asarray(rows).reshape(-1, 8, 8, 1)
