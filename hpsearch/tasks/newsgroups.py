"""20 newsgroups: 11,314 messages of 1993 to search on, and 7,532 later ones as the test.

Lang, Newsweeder: Learning to filter netnews (ICML 1995), in the split by date ("bydate") that
`sklearn.datasets.fetch_20newsgroups` has. x holds texts, so that a vocabulary is fitted in each
fold: `Task(preprocess=)`. The stand-in is 600 artificial documents on 8 topics.
"""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.task import Task
from hpsearch.tasks import documents, source

_GROUPS = 20


def task(preprocess: Any, *, headers: bool = False) -> Task:
    """Which group was a message sent to? Ranked by accuracy.

    Args:
        preprocess: turns texts into numbers, as `Task` takes it: a vectorizer of scikit-learn's,
            Keras's TextVectorization, or a function of parameters that returns one.
        headers: leave the messages' headers in, which give much away: who wrote it, and where to.
    """
    return source.make_task(
        f"newsgroups{'-headers' if headers else ''}",
        partial(load, headers=headers),
        _make_stand_in,
        loss="sparse_categorical_crossentropy",
        metric="accuracy",
        preprocess=preprocess,
    )


def load(*, headers: bool = False) -> Data:
    """x: (11314,) texts; y: (11314,) in 0..19, with the groups' names; and 7,532 test rows."""
    path = source.find_file("20newsgroups.npz")
    shapes: dict[str, tuple[str | int, ...]] = {"group_names": ("letters",)}
    for part in ("train", "test"):
        shapes |= {f"text_{part}": (f"{part} letters",), f"text_{part}_offsets": (f"{part} ends",)}
        shapes |= {f"y_{part}": (f"{part} rows",)}
    found = source.read_arrays(path, **shapes)
    rows = {}
    for part in ("train", "test"):
        y = source.check_numbers(path, found[f"y_{part}"], 0, _GROUPS - 1, whole=True)
        texts = _cut_texts(path, found[f"text_{part}"], found[f"text_{part}_offsets"])
        if len(texts) != len(y):
            raise DataError(
                f"{path} has {len(texts):,} texts {part} and {len(y):,} groups of them; it is not "
                "the right file; replace it"
            )
        rows[part] = [each if headers else _drop_header(each) for each in texts], y.astype(np.int64)
    names = bytes(found["group_names"]).decode("utf-8", "replace").split("\n")
    return Data(*rows["train"], *rows["test"], coding=Coding(classes=tuple(names)))


def _cut_texts(path: Path, letters: Array, offsets: Array) -> list[str]:
    """Texts that lie one after the other, as UTF-8; number i ends where the next one begins."""
    offsets = source.check_numbers(path, offsets, 0, len(letters), whole=True).astype(np.int64)
    if (np.diff(offsets) < 0).any() or letters.dtype != np.uint8:
        raise DataError(f"{path} has offsets that do not fit its texts; replace it")
    whole = letters.tobytes()
    try:
        return [whole[begin:end].decode() for begin, end in itertools.pairwise(offsets)]
    except UnicodeError as error:
        raise DataError(f"{path} has texts that are no UTF-8 ({first_line(error)})") from error


def _drop_header(message: str) -> str:
    """What follows the first empty line."""
    return message.partition("\n\n")[2]


def _make_stand_in() -> Data:
    rows, y = documents.make_stand_in(8)
    texts = [" ".join(f"word{number}" for number in rows[row]) for row in range(len(rows))]
    return Data(texts[:480], y[:480], texts[480:], y[480:])
