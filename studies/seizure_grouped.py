"""How well does a network find seizures in recordings that it has never seen?

The data of Bernico, Deep Learning Quick Reference (2018), with another split: no recording is on
both sides of a fold, or of the test.
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
    searcher=Random(trials=12, epochs=15),
    evaluator=KFold(5, groups=True),
)
