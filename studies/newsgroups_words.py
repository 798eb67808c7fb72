"""How many words should a dense network know to tell 20 newsgroups apart?

The vocabulary is fitted on each fold's training messages alone, with its words' weights.
"""

from typing import Any

import numpy as np

from hpsearch import Choice, Float, Holdout, Int, Space, Study
from hpsearch.tasks import newsgroups
from spaces import mlp


def preprocess(vocabulary: int, pairs: bool) -> Any:
    """The weight of each of the most frequent words, or also of pairs of words, in a message."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        max_features=vocabulary,
        ngram_range=(1, 2) if pairs else (1, 1),
        sublinear_tf=True,
        stop_words="english",
        dtype=np.float32,
    )


study = Study(
    task=newsgroups.task(preprocess),
    space=Space(
        mlp.widths(2, 32, 256),
        vocabulary=Int(1000, 10_000, log=True),
        pairs=Choice(False, True),
        dropout=Float(0.0, 0.6),
        input_dropout=Float(0.0, 0.6),
        learning_rate=Float(3e-4, 1e-2, log=True),
        batch_size=Choice(64, 256),
    ),
    build=mlp.model(),
    evaluator=Holdout(fraction=0.2),
)
