"""Word vectors that were trained on other texts: GloVe, 50 numbers a word.

Pennington, Socher and Manning, GloVe: Global Vectors for Word Representation (EMNLP 2014): of the
400,000 words of glove.6B.50d, the 29,351 that occur often in newsgroups, IMDB or Reuters, rounded to
float16. Bernico, Deep Learning Quick Reference (2018), chapter 10, takes those of 100 numbers. The
file is glove_6b_50d_subset.npz. The stand-in has random vectors for the words of the stand-ins.
"""

import os

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError, first_line
from hpsearch.tasks import source

_FILE = "glove_6b_50d_subset.npz"
_NUMBERS = 50


def glove() -> dict[str, Array]:
    """A vector of shape (50,), float32, by lower-case word: for `spaces.text.model(vectors=glove)`.

    Raises DataError where the file is missing, damaged or another one.
    """
    if os.environ.get("HPSEARCH_DATA") == source.STAND_IN:
        rng = np.random.default_rng(0)
        return {f"word{number}": rng.normal(0, 0.4, _NUMBERS).astype("f4") for number in range(301)}
    path = source.find_file(_FILE)
    found = source.read_arrays(path, words=("letters",), vectors=("n", _NUMBERS))
    source.check_numbers(path, found["vectors"], -10, 10)
    try:
        words = found["words"].astype(np.uint8).tobytes().decode().split("\n")
    except UnicodeError as error:
        raise DataError(f"{path} has words that are no UTF-8 ({first_line(error)})") from error
    if len(words) != len(found["vectors"]) or len(set(words)) != len(words):
        raise DataError(
            f"{path} has {len(set(words)):,} words and {len(found['vectors']):,} vectors; it is not "
            "the right file; replace it"
        )
    return dict(zip(words, found["vectors"].astype(np.float32), strict=True))
