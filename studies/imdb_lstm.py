"""Does the order of words tell more of a film review than which words occur: LSTM or convolution?

After Chollet, Deep Learning with Python: networks on embedded words, here on the last 200.
"""

from hpsearch import Choice, Float, Holdout, Int, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import sequence

study = Study(
    task=imdb.sequences(words=10_000, length=200),
    space=Space(
        kind=Choice("lstm", "conv"),
        embedding=Choice(16, 32),
        units=Int(16, 64, log=True),
        dropout=Float(0.0, 0.5),
        recurrent_dropout=Float(0.0, 0.3, when={"kind": "lstm"}),
        optimizer=Choice("adam"),
        batch_size=Choice(128),
    ),
    build=sequence.model(words=10_000),
    searcher=Random(trials=8, epochs=6),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
