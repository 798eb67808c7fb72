"""Does a network tell 20 newsgroups apart better than a linear model does, by which words occur?

TF-IDF of single words, or of pairs too, fitted on each fold's training messages alone. The first
point is a linear model, by softmax; the second has a hidden layer. What logistic regression over
TF-IDF reaches on the same messages, `python -m tests.benchmarks.newsgroups` tells.
"""

from typing import Any

import numpy as np

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import newsgroups
from spaces import mlp


def preprocess(vocabulary: int, pairs: bool) -> Any:
    """The weight of each of the most frequent words, or also of pairs of words, in a message."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        max_features=vocabulary,
        ngram_range=(1, 2) if pairs else (1, 1),
        sublinear_tf=True,
        dtype=np.float32,
    )


study = Study(
    task=newsgroups.task(preprocess),
    space=Space(
        mlp.widths(1, 64, 256, least=0),
        vocabulary=Choice(20_000, 30_000, 40_000),
        pairs=Choice(False, True),
        dropout=Float(0.2, 0.7, when={"layers": 1}),
        input_dropout=Float(0.0, 0.6),
        optimizer=Choice("adam"),
        learning_rate=Float(1e-3, 2e-2, log=True),
        batch_size=Choice(64, 128),
    ),
    build=mlp.model(),
    searcher=Random(trials=8, epochs=8),
    evaluator=Holdout(fraction=0.2),
    start=[
        {
            "layers": 0,
            "vocabulary": 30_000,
            "pairs": False,
            "input_dropout": 0.0,
            "optimizer": "adam",
            "learning_rate": 0.01,
            "batch_size": 64,
        },
        {
            "layers": 1,
            "units_1": 128,
            "dropout": 0.5,
            "vocabulary": 30_000,
            "pairs": False,
            "input_dropout": 0.0,
            "optimizer": "adam",
            "learning_rate": 0.002,
            "batch_size": 64,
        },
    ],
)
