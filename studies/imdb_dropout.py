"""How much dropout helps a network of 16 + 16 units on film reviews, and after which layer?

After Chollet, Deep Learning with Python, first edition, section 4.4, who drops half of each layer.
His two networks, with and without it, are tried first, for the 20 epochs that he gives them.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

study = Study(
    task=imdb.task(),
    space=Space(
        mlp.dropouts(2, 0.8, fixed=True),
        learning_rate=Float(2e-4, 2e-3, log=True),
        batch_size=Choice(512),
    ),
    build=mlp.model(hidden=(16, 16)),
    start=[
        {"dropout_1": rate, "dropout_2": rate, "learning_rate": 0.001, "batch_size": 512}
        for rate in (0.5, 0.0)
    ],
    searcher=Random(trials=32, epochs=20),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
