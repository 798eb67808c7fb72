"""IMDB: 50,000 film reviews, of which half are to be searched on; is the author pleased?

Maas et al., Learning Word Vectors for Sentiment Analysis (ACL 2011). Rows, order and encoding are
those of `keras.datasets.imdb`, but for this: Chollet, Deep Learning with Python, validates on the
first 10,000 reviews, and here these come last, where `Holdout(fraction=0.4, shuffle=False)`
finds them. The stand-in is 600 made-up documents.
"""

from functools import partial

import numpy as np

from hpsearch.core.data import Array, Data
from hpsearch.core.task import Task
from hpsearch.tasks import documents, source
from hpsearch.tasks.documents import Documents

_VALIDATE_FIRST = 10_000


def task(words: int = 10_000, loss: str = "binary_crossentropy") -> Task:
    """Pleased or not, by which of the most frequent words occur? Ranked by accuracy.

    loss: any that takes a probability, mse too.
    """
    return source.task(
        "imdb",
        partial(load, words),
        partial(_made_up, words, None),
        loss=loss,
        metric="accuracy",
        kind="binary",
    )


def sequences(words: int = 10_000, length: int = 200) -> Task:
    """Pleased or not, by the last `length` words in their order? Ranked by accuracy."""
    return source.task(
        "imdb_sequences",
        partial(load, words, length),
        partial(_made_up, words, length),
        loss="binary_crossentropy",
        metric="accuracy",
    )


def load(words: int = 10_000, length: int | None = None) -> Data:
    """x: (25000, words) uint8, 1 where a word occurs; y: (25000,) in 0, 1; and 25,000 test rows.

    length: x is (25000, length) int32 instead, numbers of words below `words`, 0 in front.
    """
    path = source.find("imdb.npz")
    y = source.read_arrays(path, y_train=("n",), y_test=("t",))
    generator = np.random.RandomState(113)  # one for both parts, as in Keras
    parts = []
    for part in ("train", "test"):
        labels = source.numbers(path, y[f"y_{part}"], 0, 1, whole=True)
        rows = documents.read(path, f"x_{part}", rows=len(labels))
        order = documents.shuffled(len(rows), generator)
        if part == "train":
            order = np.roll(order, -_VALIDATE_FIRST)
        parts.append((rows.take(order), labels[order]))
    return _data(words, length, *parts)


def _made_up(words: int, length: int | None) -> Data:
    rows, y = documents.made_up(2)
    last = np.arange(480), np.arange(480, 600)
    return _data(words, length, *[(rows.take(part), y[part]) for part in last])


def _data(
    words: int, length: int | None, train: tuple[Documents, Array], test: tuple[Documents, Array]
) -> Data:
    x, x_test = [
        rows.encode(words).multi_hot(words) if length is None else rows.encode(words).pad(length)
        for rows, _ in (train, test)
    ]
    return Data(x, train[1], x_test, test[1])
