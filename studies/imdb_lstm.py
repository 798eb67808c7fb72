"""Does the order of words in a film review help, by an LSTM or a convolution?

After Bernico, Deep Learning Quick Reference (2018), chapter 10. The first point is the book's network
(Chapter10/imdb_sentiment.py in its code): an LSTM of 10 units on vectors of 100 numbers for 20,000
words, which reaches an accuracy of 0.86 on the 25,000 reviews that are the test here, and that the book
validates on. There it reads reviews in full length, up to 2,494 words, for 10 epochs; here the last
300 words, for 5, and drops parts of the vectors instead of the LSTM's inputs.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import text

_WORDS = 20_000

study = Study(
    task=imdb.sequences(words=_WORDS, length=300),
    space=Space(
        kind=Choice("lstm", "conv"),
        embedding=Choice(32, 64, 100),
        units=Choice(10, 32, 64),
        dropout=Float(0.1, 0.5),
        recurrent_dropout=Choice(0.0, 0.2, when={"kind": "lstm"}),
        optimizer=Choice("adam"),
        learning_rate=Float(5e-4, 3e-3, log=True),
        batch_size=Choice(32, 128),
    ),
    build=text.model(words=_WORDS),
    searcher=Random(trials=8, epochs=5),
    evaluator=Holdout(fraction=0.4, shuffle=False),
    start=[
        {
            "kind": "lstm",
            "embedding": 100,
            "units": 10,
            "dropout": 0.2,
            "recurrent_dropout": 0.2,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 32,
        }
    ],
)
