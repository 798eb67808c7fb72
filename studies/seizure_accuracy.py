"""Which network classifies the most seconds of brain waves correctly, in a seizure or not?

As `seizure_auc`, but ranked by accuracy, by which Bernico, Deep Learning Quick Reference (2018),
chapter 4, keeps the best epoch of his network.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import seizure
from spaces import mlp

BOOK = {"layers": 5, "units_1": 128, "units_2": 64, "units_3": 64, "units_4": 32, "units_5": 16}
BOOK |= {"dropout": 0.0, "learning_rate": 0.001, "optimizer": "adam", "batch_size": 32}

study = Study(
    task=seizure.task(metric="accuracy"),
    space=Space(
        mlp.widths(5, 16, 512),
        dropout=Float(0.0, 0.5),
        learning_rate=Float(3e-4, 3e-3, log=True),
        optimizer=Choice("adam"),
        batch_size=Choice(32, 64),
    ),
    build=mlp.model(),
    start=[BOOK],
    searcher=Random(trials=16, epochs=40),
    evaluator=Holdout(fraction=1 / 9),
)
