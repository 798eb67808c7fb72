"""Which network classifies the most seconds of brain waves correctly, in a seizure or not?

As `seizure_auc`, but ranked by accuracy, as in Bernico, Deep Learning Quick Reference (2018).
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import seizure
from spaces import mlp

study = Study(
    task=seizure.task(metric="accuracy"),
    space=Space(
        mlp.funnel(4, 64, 512),
        dropout=Float(0.1, 0.5),
        learning_rate=Float(3e-4, 3e-3, log=True),
        optimizer=Choice("adam"),
        batch_size=Choice(64),
    ),
    build=mlp.model(),
    searcher=Random(trials=16, epochs=50),
    evaluator=Holdout(fraction=1 / 9),
)
