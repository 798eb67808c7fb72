"""How many words of a message should a network read in their order, by which convolutions?

After Bernico, Deep Learning Quick Reference (2018), chapter 10. The first point is the book's network:
20,000 words, of a message the first 1,000; three convolutions of 128 filters, and a dense layer
(Chapter10/newsgroup_classifier_word_embeddings.py in its code). There it has 15,998 messages to train
on, at random of an older collection; here a fifth of 11,314 validates, and later messages are the
test. Keras's TextVectorization, adapted to each fold's training messages, fills messages up at their
end instead of their beginning.
"""

from typing import Any

from hpsearch import Choice, Float, Holdout, Int, Random, Space, Study
from hpsearch.tasks import newsgroups
from spaces import text


def preprocess(vocabulary: int, length: int) -> Any:
    """The numbers of a message's first words; 0 where it is shorter, 1 for a word unknown."""
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_sequence_length=length)


study = Study(
    task=newsgroups.task(preprocess),
    space=Space(
        vocabulary=Choice(10_000, 20_000),
        length=Choice(200, 400, 1000),
        embedding=Choice(50, 100),
        layers=Int(1, 3),
        units=Choice(64, 128),
        kernel=Choice(3, 5),
        pooling=Choice(3, 5, when={"layers": (2, 3)}),
        dense=Choice(0, 128),
        dropout=Float(0.0, 0.5),
        optimizer=Choice("adam"),
        learning_rate=Float(5e-4, 5e-3, log=True),
        batch_size=Choice(64, 128),
    ),
    build=text.model("vocabulary", "conv"),
    searcher=Random(trials=6, epochs=10),
    evaluator=Holdout(fraction=0.2),
    start=[
        {
            "vocabulary": 20_000,
            "length": 1000,
            "embedding": 100,
            "layers": 3,
            "units": 128,
            "kernel": 5,
            "pooling": 5,
            "dense": 128,
            "dropout": 0.0,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 128,
        }
    ],
)
