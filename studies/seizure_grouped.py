"""How well are seizures told in recordings that the network has never seen?

The data of Bernico, Deep Learning Quick Reference (2018), split otherwise: no recording lies on
both sides, neither of a fold nor of the test.
"""

from hpsearch import Choice, Float, KFold, Random, Space, Study
from hpsearch.tasks import seizure
from spaces import mlp

study = Study(
    task=seizure.task(by_recording=True),
    space=Space(
        mlp.funnel(3, 32, 256),
        dropout=Float(0.0, 0.5),
        learning_rate=Float(3e-4, 3e-3, log=True),
        optimizer=Choice("adam"),
        batch_size=Choice(128),
    ),
    build=mlp.model(),
    searcher=Random(trials=6, epochs=15),
    evaluator=KFold(5, groups=True),
)
