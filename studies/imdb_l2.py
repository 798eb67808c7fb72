"""Do L1 and L2 penalties help a network of 16 + 16 units on film reviews?

After Chollet, Deep Learning with Python, first edition, section 4.4: weight regularization against
overfitting. His two networks, with an L2 factor of 0.001 and without, are tried first, for the 20
epochs that he gives them.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

BOOK = {"learning_rate": 0.001, "batch_size": 512}

study = Study(
    task=imdb.task(),
    space=Space(
        mlp.penalties(l1=(1e-6, 1e-4), l2=(1e-4, 1e-2)),
        learning_rate=Float(2e-4, 2e-3, log=True),
        batch_size=Choice(512),
    ),
    build=mlp.model(hidden=(16, 16)),
    start=[{**BOOK, "penalty": "l2", "l2": 0.001}, {**BOOK, "penalty": "none"}],
    searcher=Random(trials=32, epochs=20),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
