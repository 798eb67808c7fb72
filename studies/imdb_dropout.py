"""How much dropout helps a network of 16 + 16 units on film reviews, and after which layer?

After Chollet, Deep Learning with Python, who drops half of each layer.
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
    searcher=Random(trials=32, epochs=20),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
