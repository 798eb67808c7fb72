"""Boston Housing: the median value of homes in 506 tracts around Boston, in $1000 of 1978.

Harrison and Rubinfeld, Hedonic prices and the demand for clean air (1978). Rows and order are those
of `keras.datasets.boston_housing`: 404 to search on, 102 test rows. The column B is a racial
variable, made from the share of Black residents; the set is for comparing methods with published
figures, as in Chollet, Deep Learning with Python, and for nothing else. The stand-in is
scikit-learn's diabetes data.
"""

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.tasks import documents, source

COLUMNS = (
    *("CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B"),
    "LSTAT",
)


def task(loss: str = "mse") -> Task:
    """The value of homes in $1000; ranked by mean absolute error. Columns are standardised."""
    from sklearn.preprocessing import StandardScaler

    return source.make_task(
        "boston", load, _load_diabetes, loss=loss, metric="mae", preprocess=StandardScaler()
    )


def load() -> Data:
    """x: (404, 13) float64; y: (404,) in $1000, 5 to 50; and 102 test rows."""
    path = source.find_file("boston_housing.npz")
    arrays = source.read_arrays(path, x=("n", len(COLUMNS)), y=("n",))
    for array in arrays.values():
        source.check_numbers(path, array, 0, 1000)
    order = documents.keras_order(len(arrays["x"]), np.random.RandomState(113))
    return _split_off_test(arrays["x"][order], arrays["y"][order], COLUMNS)


def _load_diabetes() -> Data:
    from sklearn.datasets import load_diabetes

    table = load_diabetes()
    return _split_off_test(table.data, table.target, tuple(table.feature_names))


def _split_off_test(x: Array, y: Array, columns: tuple[str, ...]) -> Data:
    searched = int(len(x) * (1 - 0.2))
    return Data(x[:searched], y[:searched], x[searched:], y[searched:], columns=columns)
