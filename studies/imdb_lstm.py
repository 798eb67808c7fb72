"""Does the order of words in a film review help, by an LSTM or a convolution?

After Chollet, Deep Learning with Python: networks on embedded words, here on the last 300.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import text

study = Study(
    task=imdb.sequences(words=10_000, length=300),
    space=Space(
        kind=Choice("lstm", "conv"),
        embedding=Choice(32, 64),
        units=Choice(32, 64),
        dropout=Float(0.1, 0.5),
        recurrent_dropout=Choice(0.0, 0.2, when={"kind": "lstm"}),
        optimizer=Choice("adam"),
        learning_rate=Float(5e-4, 3e-3, log=True),
        batch_size=Choice(128),
    ),
    build=text.model(words=10_000),
    searcher=Random(trials=8, epochs=5),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
