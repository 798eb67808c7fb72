"""Do L1 and L2 penalties help a network of 16 + 16 units on film reviews?

After Chollet, Deep Learning with Python: weight regularization against overfitting.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

study = Study(
    task=imdb.task(),
    space=Space(
        l1=Float(1e-7, 1e-4, log=True),
        l2=Float(1e-5, 1e-2, log=True),
        learning_rate=Float(3e-4, 3e-3, log=True),
        batch_size=Choice(512),
    ),
    build=mlp.model(hidden=(16, 16)),
    searcher=Random(trials=12, epochs=8),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
