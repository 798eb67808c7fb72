"""Epileptic seizures: 11,500 seconds of brain waves (EEG), one in five of them in a seizure.

Andrzejak et al., Phys. Rev. E 64, 061907 (2001): 500 recordings of 23.6 seconds, cut into 23 rows
of 178 samples each as in UCI's Epileptic Seizure Recognition. As in Bernico, Deep Learning Quick
Reference (2018), 80 % of the rows are to train on, 10 % to validate (`Holdout(fraction=1 / 9)`) and
10 % to test, at random. Rows of one recording are then on both sides of a split, and a model may
recognize recordings instead of seizures. `task(by_recording=True)` with `KFold(groups=True)`
prevents this.

The file epileptic_seizure.npz holds x, (11500, 178) int16; y, 1..5, of which 1 is a seizure; and
record, the names of the recordings. The stand-in is scikit-learn's breast cancer data, with
arbitrary groups.
"""

from functools import partial

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.tasks import source


def task(by_recording: bool = False, metric: str = "roc_auc") -> Task:
    """Seizure or not? Samples are standardised.

    Args:
        by_recording: no recording is in both the searched rows and the test rows.
    """
    from sklearn.preprocessing import StandardScaler

    return source.make_task(
        "seizure_by_recording" if by_recording else "seizure",
        partial(load, by_recording),
        partial(_load_breast_cancer, by_recording),
        loss="binary_crossentropy",
        metric=metric,
        preprocess=StandardScaler(),
    )


def load(by_recording: bool = False) -> Data:
    """x: (10350, 178) float32; y: (10350,) in 0, 1; groups: the recordings; and 1,150 test rows."""
    path = source.find_file("epileptic_seizure.npz")
    arrays = source.read_arrays(path, x=("n", 178), y=("n",), record=("n",))
    source.check_numbers(path, arrays["x"], -(2**15), 2**15)
    source.check_numbers(path, arrays["y"], 1, 5, whole=True)
    return _split_off_test(arrays["x"], arrays["y"] == 1, arrays["record"], by_recording)


def _load_breast_cancer(by_recording: bool) -> Data:
    from sklearn.datasets import load_breast_cancer

    x, benign = load_breast_cancer(return_X_y=True)
    return _split_off_test(x, benign == 0, np.arange(len(x)) // 10, by_recording)


def _split_off_test(x: Array, y: Array, groups: Array, by_recording: bool) -> Data:
    from sklearn.model_selection import GroupShuffleSplit

    if by_recording:
        splitter = GroupShuffleSplit(1, test_size=0.1, random_state=0)
        searched, test = next(splitter.split(x, y, groups))
    else:
        order = np.random.default_rng(0).permutation(len(x))
        test, searched = np.split(order, [round(0.1 * len(x))])
    x, y = x.astype(np.float32), y.astype(np.uint8)
    return Data(x[searched], y[searched], x[test], y[test], groups=groups[searched])
