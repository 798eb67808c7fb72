"""How large a network do film reviews want, and which loss? Smaller ones overfit later.

After Chollet, Deep Learning with Python, whose networks of 16 + 16 units are searched around: one to
three layers of 4 to 64 units, and mean squared error instead of crossentropy.
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
