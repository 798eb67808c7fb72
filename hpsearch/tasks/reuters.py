"""Reuters: 11,228 newswires of 1987 on 46 topics.

Reuters-21578, Distribution 1.0 (D. Lewis); for research, with citation. Rows, order and encoding
are those of `keras.datasets.reuters` (8,982 to search on, 2,246 test rows), but for this: Chollet,
Deep Learning with Python, validates on the first 1,000, and here these come last, where
`Holdout(fraction=1000 / 8982, shuffle=False)` finds them. The stand-in is 600 made-up documents.
"""

from functools import partial

import numpy as np

from hpsearch.core.data import Array, Data
from hpsearch.core.task import Task
from hpsearch.tasks import documents, source
from hpsearch.tasks.documents import Documents

_VALIDATE_FIRST = 1000


def task(words: int = 10_000, one_hot: bool = False) -> Task:
    """Which topic, by which of the most frequent words occur? Ranked by accuracy.

    one_hot: the topic is a row of 46 numbers, 0 but for its own place, instead of a number.
    """
    return source.task(
        "reuters",
        partial(load, words, one_hot),
        partial(_made_up, words, one_hot),
        loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy",
        metric="accuracy",
    )


def load(words: int = 10_000, one_hot: bool = False) -> Data:
    """x: (8982, words) uint8, 1 where a word occurs; y: (8982,) in 0..45; and 2,246 test rows.

    one_hot: y is (8982, 46) float32 instead.
    """
    path = source.find("reuters.npz")
    y = source.numbers(path, source.read_arrays(path, y=("n",))["y"], 0, 45, whole=True)
    rows = documents.read(path, "x", rows=len(y))
    order = documents.shuffled(len(rows), np.random.RandomState(113))
    return _data(rows.take(order), y[order], words, one_hot)


def _made_up(words: int, one_hot: bool) -> Data:
    return _data(*documents.made_up(8), words, one_hot)


def _data(rows: Documents, topics: Array, words: int, one_hot: bool) -> Data:
    x = rows.encode(words).multi_hot(words)
    y = np.eye(int(topics.max()) + 1, dtype=np.float32)[topics] if one_hot else topics
    searched = int(len(x) * (1 - 0.2))
    order = np.roll(np.arange(searched), -_VALIDATE_FIRST)
    return Data(x[order], y[order], x[searched:], y[searched:])
