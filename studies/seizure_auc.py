"""Which network tells a second of brain waves in a seizure from others, by the area under the ROC?

After Bernico, Deep Learning Quick Reference (2018). Rows of one recording lie on both sides of its
split; `seizure_grouped` asks what is left of the figure where they do not.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import seizure
from spaces import mlp

study = Study(
    task=seizure.task(),
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
