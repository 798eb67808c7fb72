"""Do word vectors of other texts help to tell 20 newsgroups apart, frozen, or trained on?

After Bernico, Deep Learning Quick Reference (2018), chapter 10, who compares a learned embedding with
frozen vectors of GloVe (Chapter10/newsgroup_classifier_pretrained_word_embeddings.py in its code). One
network for all three, after the book's: three convolutions and a dense layer, of half as many
filters, on the first 300 words instead of 1,000; vectors have 50 numbers instead of 100.
"""

from typing import Any

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import newsgroups, word_vectors
from spaces import text


def preprocess(vocabulary: int) -> Any:
    """The numbers of a message's first 300 words; 0 where it is shorter, 1 for a word unknown."""
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_sequence_length=300)


_ALIKE = {
    "vocabulary": 20_000,
    "layers": 3,
    "units": 64,
    "kernel": 5,
    "pooling": 5,
    "dense": 128,
    "dropout": 0.2,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "batch_size": 64,
}

study = Study(
    task=newsgroups.task(preprocess),
    space=Space(
        vocabulary=Choice(20_000),
        vectors=Choice("frozen", "trained", "learned"),
        embedding=Choice(50, when={"vectors": "learned"}),
        layers=Choice(1, 3),
        units=Choice(64, 128),
        kernel=Choice(3, 5),
        pooling=Choice(5, when={"layers": 3}),
        dense=Choice(0, 128),
        dropout=Float(0.0, 0.5),
        optimizer=Choice("adam"),
        learning_rate=Float(5e-4, 5e-3, log=True),
        batch_size=Choice(64),
    ),
    build=text.model("vocabulary", "conv", vectors=word_vectors.glove),
    searcher=Random(trials=8, epochs=10),
    evaluator=Holdout(fraction=0.2),
    start=[
        {"vectors": "frozen", **_ALIKE},
        {"vectors": "trained", **_ALIKE},
        {"vectors": "learned", "embedding": 50, **_ALIKE},
    ],
)
