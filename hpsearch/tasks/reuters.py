"""Reuters: 11,228 newswires of 1987 on 46 topics.

Reuters-21578, Distribution 1.0 (D. Lewis); for research, with citation. Rows, order and encoding
are those of `keras.datasets.reuters` (8,982 to search on, 2,246 test rows), with one difference.
Chollet, Deep Learning with Python, validates on the first 1,000. Here these come last, so that
`Holdout(fraction=1000 / 8982, shuffle=False)` validates on them. The stand-in is 600 artificial
documents.
"""

from functools import partial

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.tasks import documents, source
from hpsearch.tasks.documents import Documents

_VALIDATE_FIRST = 1000


def task(words: int = 10_000, one_hot: bool = False) -> Task:
    """Which topic, by the words that occur? Ranked by accuracy.

    Args:
        words: how many of the most frequent words count.
        one_hot: a topic is a row of 46 numbers, all 0 but one, instead of a number.
    """
    return source.make_task(
        "reuters",
        partial(load, words, one_hot),
        partial(_make_stand_in, words, one_hot),
        loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy",
        metric="accuracy",
    )


def load(words: int = 10_000, one_hot: bool = False) -> Data:
    """x: (8982, words) uint8, 1 where a word occurs; y: (8982,) in 0..45; and 2,246 test rows.

    Args:
        one_hot: y is (8982, 46) float32 instead.
    """
    path = source.find_file("reuters.npz")
    y = source.check_numbers(path, source.read_arrays(path, y=("n",))["y"], 0, 45, whole=True)
    rows = documents.read_documents(path, "x", rows=len(y))
    order = documents.keras_order(len(rows), np.random.RandomState(113))
    return _encode(rows.take(order), y[order], words, one_hot)


def _make_stand_in(words: int, one_hot: bool) -> Data:
    return _encode(*documents.make_stand_in(8), words, one_hot)


def _encode(rows: Documents, topics: Array, words: int, one_hot: bool) -> Data:
    x = rows.encode(words).multi_hot(words)
    y = np.eye(int(topics.max()) + 1, dtype=np.float32)[topics] if one_hot else topics
    searched = int(len(x) * (1 - 0.2))
    order = np.roll(np.arange(searched), -_VALIDATE_FIRST)
    return Data(x[order], y[order], x[searched:], y[searched:])
