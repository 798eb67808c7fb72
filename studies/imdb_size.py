"""How large should a network for film reviews be, and which loss suits it?

After Chollet, Deep Learning with Python, who uses 16 + 16 units and crossentropy. Here: one to
three layers of 4 to 64 units, and mean squared error too.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

study = Study(
    task=imdb.task(),
    space=Space(
        mlp.funnel(3, 4, 64),
        loss=Choice("binary_crossentropy", "mse"),
        learning_rate=Float(1e-4, 3e-3, log=True),
        batch_size=Choice(512),
    ),
    build=mlp.model(),
    searcher=Random(trials=32, epochs=12),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
