"""How wide and deep should a network be that finds 46 topics of newswires?

After Chollet, Deep Learning with Python, who compares two layers of 64 units with a bottleneck of
4, which loses too much.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import reuters
from spaces import mlp

study = Study(
    task=reuters.task(),
    space=Space(
        mlp.widths(2, 4, 256),
        dropout=Float(0.0, 0.6),
        learning_rate=Float(3e-4, 3e-3, log=True),
        batch_size=Choice(128, 512),
    ),
    build=mlp.model(),
    searcher=Random(trials=24, epochs=20),
    evaluator=Holdout(fraction=1000 / 8982, shuffle=False),
)
