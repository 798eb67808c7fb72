"""Embeddings of word numbers, learned from nothing or begun with vectors of other texts."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec
from spaces import checks

MODES = ("learned", "frozen", "trained")
UNKNOWN = ("zeros", "drawn")
Vectors = Mapping[str, Any]


class PretrainedVectors:
    """Vectors by word, read when they are first needed.

    Args:
        read: returns them, all of one length; called once in each process.
        unknown: what words without a vector get: "zeros", or "drawn" at random, spread as the
            others are.
    """

    def __init__(self, read: Callable[[], Vectors], unknown: str) -> None:
        if not callable(read):
            raise ValueError(
                "text.model(vectors=) takes a function that returns a dict of vectors by word, as "
                f"hpsearch.tasks.word_vectors.glove, got {brief(read)}"
            )
        if unknown not in UNKNOWN:
            raise ValueError(f"unknown is one of {', '.join(UNKNOWN)}, got {brief(unknown)}")
        self._read, self._unknown = read, unknown
        self._vectors: Vectors | None = None

    def make_matrix(self, rows: int, vocabulary: list[str]) -> np.ndarray[Any, Any]:
        """The vectors of a vocabulary's words, by their numbers: shape (rows, numbers), float32.

        The word "", which fills rows up, and rows beyond the vocabulary are zeros. Raises BuildError
        where no word has a vector.
        """
        vectors = self._load()
        known = {n: vectors[word] for n, word in enumerate(vocabulary) if word in vectors}
        if not known:
            raise BuildError(
                f"none of the {len(vocabulary):,} words of the vocabulary has a vector, as "
                f"{', '.join(map(repr, vocabulary[2:5]))}; the vectors are of words as "
                f"{', '.join(map(repr, list(vectors)[:3]))}: write both alike"
            )
        found = np.asarray(list(known.values()), dtype=np.float32)
        if found.ndim != 2 or not np.isfinite(found).all():
            raise BuildError("vectors= has vectors of several lengths, or with NaN or infinity")
        matrix = np.zeros((rows, found.shape[1]), np.float32)
        if self._unknown == "drawn":
            drawn = [n for n, word in enumerate(vocabulary) if word and n not in known]
            # By NumPy's own generator, which is seeded by the fit's seed while `build` is called.
            matrix[drawn] = np.random.normal(0.0, found.std(), (len(drawn), found.shape[1]))
        matrix[list(known)] = found
        return matrix

    def _load(self) -> Vectors:
        if self._vectors is None:
            read = self._read()
            if not isinstance(read, Mapping) or not read:
                raise BuildError(
                    f"vectors= must return a dict of vectors by word, got {brief(read)}"
                )
            self._vectors = read
        return self._vectors


def make_embedding(
    words: int, vectors: PretrainedVectors | None, spec: ModelSpec, params: dict[str, Any]
) -> Any:
    """The embedding layer that the parameters `vectors` and `embedding` ask for.

    Args:
        words: how many there are.
        vectors: of other texts; None where the builder has none.
    """
    import keras

    mode = _choose_mode(vectors, params)
    if vectors is None or mode == "learned":
        return keras.layers.Embedding(words, checks.whole(params, "embedding", 32))
    vocabulary = spec.get_vocabulary()
    if len(vocabulary) > words:
        raise BuildError(
            f"the vocabulary has {len(vocabulary):,} words, and text.model(words={words:,}) fewer; "
            "name the parameter that says it to Task(preprocess=)"
        )
    matrix = vectors.make_matrix(words, vocabulary)
    return keras.layers.Embedding(
        words, matrix.shape[1], weights=[matrix], trainable=mode == "trained"
    )


def _choose_mode(vectors: PretrainedVectors | None, params: dict[str, Any]) -> str:
    if vectors is None:
        if "vectors" in params:
            raise BuildError(
                f"vectors={brief(params['vectors'])} has no effect without vectors to begin with; "
                "give them: text.model(vectors=hpsearch.tasks.word_vectors.glove)"
            )
        return "learned"
    mode = checks.one_of(params, "vectors", MODES, "frozen")
    if mode != "learned" and "embedding" in params:
        raise BuildError(
            f"embedding={params['embedding']} has no effect on vectors={mode!r}, which have a length "
            "of their own; let it exist only where it does: when={'vectors': 'learned'}"
        )
    return mode
