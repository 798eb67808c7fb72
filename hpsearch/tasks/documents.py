"""Documents as rows of word numbers, read and encoded as in `keras.datasets`.

In the files a word's number is its rank: 1 is the most frequent word. In encoded documents 0 fills
up short ones, 1 begins each, 2 stands for all rarer words, and a word's number is its rank plus 3.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.tasks import keras_pickles, source

_BEGIN, _UNKNOWN, _OFFSET = 1, 2, 3
_MOST_WORDS = 10**7  # more than any language has


@dataclass(frozen=True, eq=False)
class Documents:
    """Documents of unequal length; number i is `values[offsets[i]:offsets[i + 1]]`.

    Args:
        values: the words of all documents, one after the other; int32.
        offsets: shape (rows + 1,), from 0; int64.
    """

    values: Array
    offsets: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Array:
        return np.diff(self.offsets)

    def __getitem__(self, row: int) -> Array:
        return np.asarray(self.values[self.offsets[row] : self.offsets[row + 1]])

    def take(self, rows: Array) -> "Documents":
        """These rows, in this order."""
        lengths = self.lengths[rows]
        offsets = _offsets(lengths)
        shift = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Documents(self.values[np.arange(offsets[-1]) + shift], offsets)

    def encode(self, words: int) -> "Documents":
        """Encode as `keras.datasets` does with `num_words=words`: all numbers are below `words`.

        >>> Documents(np.array([1, 2, 9, 1]), np.array([0, 3, 4])).encode(10).values
        array([1, 4, 5, 2, 1, 4], dtype=int32)
        """
        if words <= _OFFSET:
            raise DataError(
                f"words={words} leaves no word: word numbers begin at {_OFFSET + 1}; "
                f"use {_OFFSET + 2} or more"
            )
        offsets = _offsets(self.lengths + 1)
        values = np.full(offsets[-1], _BEGIN, np.int32)
        inside = np.ones(len(values), bool)
        inside[offsets[:-1]] = False
        ranked = self.values + _OFFSET
        values[inside] = np.where(ranked < words, ranked, _UNKNOWN)
        return Documents(values, offsets)

    def multi_hot(self, words: int) -> Array:
        """Which words occur: (rows, words) uint8 of 0 and 1, a quarter of the memory of float32.

        >>> Documents(np.array([1, 4, 4]), np.array([0, 2, 3])).multi_hot(5)
        array([[0, 1, 0, 0, 1],
               [0, 0, 0, 0, 1]], dtype=uint8)
        """
        hot = np.zeros((len(self), words), np.uint8)
        hot[np.repeat(np.arange(len(self)), self.lengths), self.values] = 1
        return hot

    def pad(self, length: int) -> Array:
        """The last `length` words of each row, with 0 in front: (rows, length) int32.

        >>> Documents(np.array([1, 4, 5, 6]), np.array([0, 1, 4])).pad(2)
        array([[0, 1],
               [5, 6]], dtype=int32)
        """
        if length < 1:
            raise DataError(f"sequences need length >= 1, got length={length}")
        lengths = np.minimum(self.lengths, length)
        place = np.arange(lengths.sum()) - np.repeat(_offsets(lengths)[:-1], lengths)
        row = np.repeat(np.arange(len(self)), lengths)
        padded = np.zeros((len(self), length), np.int32)
        padded[row, length - lengths[row] + place] = self.values[
            self.offsets[1:][row] - lengths[row] + place
        ]
        return padded


def read_documents(path: Path, key: str, *, rows: int) -> Documents:
    """Read the documents `key` of a file: values and offsets, or Keras's own pickled lists.

    Raises DataError where the file is damaged or another one, and for another number of rows.
    """
    with source.open_arrays(path) as arrays:
        is_from_keras = key in arrays  # other files have values and offsets
    if is_from_keras:
        found = _join_rows(keras_pickles.read_rows(path, key))
    else:
        shapes = {f"{key}_values": ("words",), f"{key}_offsets": ("ends",)}
        values, offsets = source.read_arrays(path, **shapes).values()
        source.check_numbers(path, values, 0, _MOST_WORDS, whole=True)
        source.check_numbers(path, offsets, 0, len(values), whole=True)
        steps = np.diff(offsets.astype(np.int64))
        if offsets[0] != 0 or offsets[-1] != len(values) or (steps < 0).any():
            raise DataError(f"{path} has offsets {key} that do not fit its values; fetch it again")
        found = Documents(values.astype(np.int32), offsets.astype(np.int64))
    if len(found) != rows:
        raise DataError(
            f"{path} has {len(found):,} documents {key} and {rows:,} labels for them; "
            "fetch it again"
        )
    return found


def keras_order(rows: int, generator: np.random.RandomState) -> Array:
    """The order of the rows in `keras.datasets`."""
    indices = np.arange(rows)
    generator.shuffle(indices)
    return indices


def make_stand_in(topics: int, *, rows: int = 600, words: int = 300) -> tuple[Documents, Array]:
    """Make documents of some fifty random words, drawn by topic, and the topics."""
    from sklearn.datasets import make_multilabel_classification

    counts, labels = make_multilabel_classification(
        rows, words, n_classes=topics, n_labels=1, allow_unlabeled=False, random_state=0
    )
    counts = counts.astype(np.int64)
    generator = np.random.default_rng(0)
    documents = [generator.permutation(np.repeat(np.arange(words) + 1, row)) for row in counts]
    return _join_rows(documents), labels.argmax(axis=1)


def _join_rows(documents: list[Array]) -> Documents:
    lengths = np.array([len(row) for row in documents])
    return Documents(np.concatenate(documents).astype(np.int32), _offsets(lengths))


def _offsets(lengths: Array) -> Array:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
