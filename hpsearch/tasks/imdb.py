"""IMDB: 50,000 film reviews, half of them to search on. Did the author like the film?

Maas et al., Learning Word Vectors for Sentiment Analysis (ACL 2011). Rows, order and encoding are
those of `keras.datasets.imdb`, with one difference. Chollet, Deep Learning with Python, validates
on the first 10,000 reviews. Here these come last, so that `Holdout(fraction=0.4, shuffle=False)`
validates on them. The stand-in is 600 artificial documents.
"""

from functools import partial

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.tasks import documents, source
from hpsearch.tasks.documents import Documents

_VALIDATE_FIRST = 10_000


def task(words: int = 10_000, loss: str = "binary_crossentropy") -> Task:
    """Positive or negative, by the words that occur? Ranked by accuracy.

    Args:
        words: how many of the most frequent words count.
        loss: any that takes a probability, also mse.
    """
    return source.make_task(
        "imdb",
        partial(load, words),
        partial(_make_stand_in, words, None),
        loss=loss,
        metric="accuracy",
        kind="binary",
    )


def sequences(words: int = 10_000, length: int = 200) -> Task:
    """Positive or negative, by the last `length` words in their order? Ranked by accuracy."""
    return source.make_task(
        "imdb_sequences",
        partial(load, words, length),
        partial(_make_stand_in, words, length),
        loss="binary_crossentropy",
        metric="accuracy",
    )


def load(words: int = 10_000, length: int | None = None) -> Data:
    """x: (25000, words) uint8, 1 where a word occurs; y: (25000,) in 0, 1; and 25,000 test rows.

    Args:
        length: x is (25000, length) int32 instead: word numbers below `words`, with 0 in front.
    """
    path = source.find_file("imdb.npz")
    y = source.read_arrays(path, y_train=("n",), y_test=("t",))
    generator = np.random.RandomState(113)  # one for both parts, as in Keras
    parts = []
    for part in ("train", "test"):
        labels = source.check_numbers(path, y[f"y_{part}"], 0, 1, whole=True)
        rows = documents.read_documents(path, f"x_{part}", rows=len(labels))
        order = documents.keras_order(len(rows), generator)
        if part == "train":
            order = np.roll(order, -_VALIDATE_FIRST)
        parts.append((rows.take(order), labels[order]))
    return _encode(words, length, *parts)


def _make_stand_in(words: int, length: int | None) -> Data:
    rows, y = documents.make_stand_in(2)
    last = np.arange(480), np.arange(480, 600)
    return _encode(words, length, *[(rows.take(part), y[part]) for part in last])


def _encode(
    words: int, length: int | None, train: tuple[Documents, Array], test: tuple[Documents, Array]
) -> Data:
    x, x_test = [
        rows.encode(words).multi_hot(words) if length is None else rows.encode(words).pad(length)
        for rows, _ in (train, test)
    ]
    return Data(x, train[1], x_test, test[1])
