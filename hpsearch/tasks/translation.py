"""Translation between two made-up languages, whose sentences need no file.

A sentence of the first one says who did what to whom, as in "big dogs saw a cat". The second one
says it by other words, the verb first, and whom before who; an adjective follows its noun, and ends
as nouns of its kind and number do; a verb agrees with the number of who did it. So neither a copy
nor a translation word by word is right. Sentences are drawn by a fixed seed; no sentence of the test
is among those that are searched on.

Sentences are codes of characters: `encode` and `decode` change texts into these and back.
"""

from collections.abc import Iterable

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.task import Task

# By a noun: its translation, and its kind, which is how it and its adjectives end.
_NOUNS = {
    "dog": ("ruf", 0), "cat": ("mil", 1), "cow": ("bom", 0), "hen": ("kik", 1),
    "owl": ("san", 1), "cub": ("tor", 0), "boy": ("dul", 0), "pig": ("gru", 1),
}  # fmt: skip
_ADJECTIVES = {"big": "val", "red": "zen", "old": "mor", "shy": "pit", "sad": "lug"}
_VERBS = {"saw": "vid", "hit": "bat", "fed": "nur", "led": "duk", "met": "kon"}
_ENDINGS = (("o", "oi"), ("a", "ae"))  # by kind, of one and of several
_OF_VERBS = ("t", "nt")  # of one who did it, and of several

END = "."
CHARACTERS = " " + END + "abcdefghijklmnopqrstuvwxyz"
LONGEST = 32  # characters of a sentence, with one end at least
_ROWS, _TEST = 4000, 500


def task() -> Task:
    """The translation of a sentence, as codes; ranked by the share that is wholly right.

    A row is right or wrong as a whole, so its codes are numbers to the task, and no classes. Their
    error says nothing; a training function reports the loss that it trains by.
    `right_characters` is recorded too.
    """
    return Task(
        name="translation",
        data=load,
        loss="mse",
        metric=right_sentences,
        direction="max",
        metrics=[(right_characters, "max")],
    )


def load() -> Data:
    """x and y: (4000, LONGEST) codes of characters, and 500 test rows; no sentence is twice."""
    random = np.random.default_rng(0)
    pairs: dict[str, str] = {}
    while len(pairs) < _ROWS + _TEST:
        text, translation = _draw_sentence(random)
        pairs[text] = translation
    x, y = encode(pairs), encode(pairs.values())
    return Data(x[:_ROWS], y[:_ROWS], x[_ROWS:], y[_ROWS:])


def encode(sentences: Iterable[str]) -> Array:
    """The codes of sentences' characters, shape (rows, LONGEST), filled up with END."""
    return np.array([[CHARACTERS.index(c) for c in s.ljust(LONGEST, END)] for s in sentences])


def decode(codes: Array) -> list[str]:
    """The sentences of codes, shape (rows, LONGEST), each up to its end."""
    return ["".join(CHARACTERS[code] for code in row).split(END)[0] for row in codes]


def right_sentences(y: Array, predicted: Array) -> float:
    """The share of sentences whose characters are all right; codes of shape (rows, LONGEST)."""
    return float(np.mean((y == predicted).all(axis=1)))


def right_characters(y: Array, predicted: Array) -> float:
    """The share of characters that are right, each sentence's first end included; likewise."""
    counts = np.cumsum(y == CHARACTERS.index(END), axis=1) <= 1
    return float(np.mean((y == predicted)[counts]))


def _draw_sentence(random: np.random.Generator) -> tuple[str, str]:
    who, who_translated, several = _draw_phrase(random)
    whom, whom_translated, _ = _draw_phrase(random)
    verb = random.choice(list(_VERBS))
    return (
        f"{who} {verb} {whom}",
        f"{_VERBS[verb]}e{_OF_VERBS[several]} {whom_translated} {who_translated}",
    )


def _draw_phrase(random: np.random.Generator) -> tuple[str, str, bool]:
    """A noun, half of the time with an adjective; its translation; and whether it is several."""
    noun, several = random.choice(list(_NOUNS)), bool(random.integers(2))
    stem, kind = _NOUNS[noun]
    ending = _ENDINGS[kind][several]
    words, translated = [noun + "s" * several], [stem + ending]
    if random.integers(2):
        adjective = random.choice(list(_ADJECTIVES))
        words.insert(0, adjective)
        translated.append(_ADJECTIVES[adjective] + ending)
    return " ".join(words), " ".join(translated), several
