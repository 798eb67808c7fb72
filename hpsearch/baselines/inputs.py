"""What the rows of a task are for a baseline: a table, texts, images; and how they become numbers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.arrays import inputs_by_name, is_lazy
from hpsearch.core.data import Data
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.searched_preprocessing import PREPROCESS
from hpsearch.core.task import Task

_WORDS = 50_000  # that TF-IDF counts, at most: rows are dense where they are predicted
_CATEGORIES = 100  # of a column that become columns of their own, at most
_FEWEST_TOKENS, _SMALLEST_VOCABULARY, _LARGEST_VOCABULARY = 10, 256, 500_000


@dataclass(frozen=True, slots=True)
class RowForm:
    """What the rows of a task are, and how baselines take them.

    Args:
        is_text: whether they are texts, or numbers of words.
        is_image: whether rows have several dimensions and no times.
        columns: numbers that a row has before it is prepared; 0 of texts.
        preprocess: what prepares them for baselines, in place of the task's.
        scaled: whether linear models standardise the columns themselves.
        samples: whether they are more than fit into memory, so that baselines learn from some.
        problem: why only trivial baselines can learn from them; "" where others can too.
    """

    is_text: bool
    is_image: bool
    columns: int
    preprocess: Any
    scaled: bool
    samples: bool
    problem: str = ""


def describe_rows(task: Task, data: Data) -> RowForm:
    """What the rows of a task are.

    The study's preprocessing is kept where it is fixed. Texts, and rows that are prepared by
    parameters of the search, are prepared in a way of the baselines' own.
    """
    parts = inputs_by_name(data.x)
    several = len(parts) > 1 or "x" not in parts
    first = next(iter(parts.values()))
    searched = PREPROCESS in task.searched_preprocessing
    columns = sum(math.prod(each.shape[1:]) for each in parts.values())
    is_image = not several and first.ndim > 2 and data.times is None
    samples = any(is_lazy(each) for each in parts.values()) and columns * data.rows * 4 > (
        most_bytes_of_rows()
    )
    if any(each.dtype.kind == "O" for each in parts.values()):
        if several:
            problem = "texts are one of several inputs"
            return RowForm(True, False, 0, task.preprocess, False, samples, problem)
        return RowForm(True, False, 0, _make_tfidf(), False, samples)
    if not several and not data.frames and task.preprocess is None and _holds_tokens(first):
        words = min(int(first.max()) + 1, _WORDS)
        return RowForm(True, False, 0, _make_tfidf_of_tokens(words), False, samples)
    if searched and data.frames and several:
        problem = "frames of several inputs are prepared by parameters of the search"
        return RowForm(False, False, columns, task.preprocess, False, samples, problem)
    preprocess = task.preprocess
    if searched:
        preprocess = _make_plain_preprocessing(data)
    scaled = (searched or preprocess is None) and not _holds_flags(first)
    return RowForm(False, is_image, columns, preprocess, scaled, samples)


def _holds_tokens(x: Any) -> bool:
    """Whether rows are sequences of the numbers of words: long ones, of a large vocabulary.

    Numbers of a table, as populations, are larger than those of words.
    """
    if is_lazy(x) or x.ndim != 2 or x.dtype.kind not in "iu" or x.shape[1] < _FEWEST_TOKENS:
        return False
    return bool(x.min() >= 0 and _SMALLEST_VOCABULARY <= x.max() <= _LARGEST_VOCABULARY)


def _holds_flags(x: Any) -> bool:
    """Whether all numbers are 0 or 1, as where words occur or not: there is nothing to scale."""
    return not is_lazy(x) and x.dtype.kind in "bu" and x.size > 0 and x.max() <= 1


def _make_tfidf() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(max_features=_WORDS, dtype=np.float32)


def _make_tfidf_of_tokens(words: int) -> Any:
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    count = FunctionTransformer(count_tokens, kw_args={"words": words})
    return make_pipeline(count, TfidfTransformer())


def count_tokens(x: Array, words: int) -> Any:
    """How often each number occurs in each row, without 0, which fills rows up.

    Args:
        x: of shape (rows, steps), numbers below `words`; larger ones are not counted.

    Returns a sparse matrix of shape (rows, words).
    """
    from scipy.sparse import csr_matrix

    counted = (x > 0) & (x < words)
    row = np.repeat(np.arange(len(x)), counted.sum(axis=1))
    ones = np.ones(len(row), np.float32)
    return csr_matrix((ones, (row, x[counted].astype(np.int64))), shape=(len(x), words))


def _make_plain_preprocessing(data: Data) -> Any:
    """Fill what is missing, and make columns of categories; None where neither is there."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    if any(not code.holds_only_numbers for code in data.frames.values()):
        encoder = OneHotEncoder(
            handle_unknown="ignore", max_categories=_CATEGORIES, sparse_output=False
        )
        others = make_column_selector(dtype_exclude="number")
        return make_column_transformer((encoder, others), remainder=SimpleImputer())
    parts = inputs_by_name(data.x)
    missing = {
        name
        for name, x in parts.items()
        if is_lazy(x) or (x.dtype.kind == "f" and np.isnan(np.sum(x)))
    }
    filled = {name for name in missing if parts[name].ndim == 2}
    if "x" in parts and len(parts) == 1:
        return SimpleImputer() if filled else None
    return {name: SimpleImputer() for name in filled} or None
