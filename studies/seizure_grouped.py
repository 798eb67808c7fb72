"""How well does a network find seizures in recordings that it has never seen?

The data and the network of Bernico, Deep Learning Quick Reference (2018), chapter 4, with another
split: no recording is on both sides of a fold, or of the test.
"""

from hpsearch import Choice, Float, KFold, Random, Space, Study
from hpsearch.tasks import seizure
from spaces import mlp

BOOK = {"layers": 5, "units_1": 128, "units_2": 64, "units_3": 64, "units_4": 32, "units_5": 16}
BOOK |= {"dropout": 0.0, "learning_rate": 0.001, "optimizer": "adam", "batch_size": 32}

study = Study(
    task=seizure.task(by_recording=True),
    space=Space(
        mlp.widths(5, 16, 256),
        dropout=Float(0.0, 0.5),
        learning_rate=Float(3e-4, 3e-3, log=True),
        optimizer=Choice("adam"),
        batch_size=Choice(32, 128),
    ),
    build=mlp.model(),
    start=[BOOK],
    searcher=Random(trials=12, epochs=15),
    evaluator=KFold(5, groups=True),
)
