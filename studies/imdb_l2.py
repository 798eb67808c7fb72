"""Do L1 and L2 penalties help a network of 16 + 16 units on film reviews?

After Chollet, Deep Learning with Python: weight regularization against overfitting.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

study = Study(
    task=imdb.task(),
    space=Space(
        l1=Float(1e-6, 1e-4, log=True),
        l2=Float(1e-4, 1e-2, log=True),
        learning_rate=Float(2e-4, 2e-3, log=True),
        batch_size=Choice(512),
    ),
    build=mlp.model(hidden=(16, 16)),
    searcher=Random(trials=32, epochs=20),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
