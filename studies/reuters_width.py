"""How wide and deep should a network be that finds 46 topics of newswires?

After Chollet, Deep Learning with Python, first edition, section 3.5, who compares two layers of 64
units with a bottleneck of 4, which loses too much. Both are tried first, with his batches and the
20 epochs that he gives them.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import reuters
from spaces import mlp

BOOK = {"layers": 2, "units_1": 64, "dropout": 0.0, "learning_rate": 0.001}

study = Study(
    task=reuters.task(),
    space=Space(
        mlp.widths(2, 4, 256),
        dropout=Float(0.0, 0.6),
        learning_rate=Float(3e-4, 3e-3, log=True),
        batch_size=Choice(128, 512),
    ),
    build=mlp.model(),
    start=[BOOK | {"units_2": 64, "batch_size": 512}, BOOK | {"units_2": 4, "batch_size": 128}],
    searcher=Random(trials=24, epochs=20),
    evaluator=Holdout(fraction=1000 / 8982, shuffle=False),
)
