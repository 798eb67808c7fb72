"""How many words of a message, of how large a vocabulary, should a network read in their order?

Keras's TextVectorization is adapted to each fold's training messages alone.
"""

from typing import Any

from hpsearch import Choice, Float, Holdout, Int, Space, Study
from hpsearch.tasks import newsgroups
from spaces import text


def preprocess(vocabulary: int, length: int) -> Any:
    """The numbers of a message's first words; 0 where it is shorter, 1 for a word unknown."""
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_sequence_length=length)


study = Study(
    task=newsgroups.task(preprocess),
    space=Space(
        vocabulary=Int(2000, 20_000, log=True),
        length=Int(50, 300, log=True),
        kind=Choice("bag", "conv"),
        embedding=Int(16, 64, log=True),
        units=Int(32, 128, log=True),
        dropout=Float(0.0, 0.6),
        learning_rate=Float(3e-4, 1e-2, log=True),
        batch_size=Choice(64, 256),
    ),
    build=text.model(words="vocabulary"),
    evaluator=Holdout(fraction=0.2),
)
