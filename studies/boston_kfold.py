"""Which network best predicts the value of homes around Boston, by 4-fold cross-validation?

After Chollet, Deep Learning with Python. With 404 rows, a single split would mislead.
"""

from hpsearch import Choice, Float, KFold, Random, Space, Study
from hpsearch.tasks import boston
from spaces import mlp

study = Study(
    task=boston.task(),
    space=Space(
        mlp.funnel(3, 64, 256),
        dropout=Float(0.0, 0.3),
        l2=Float(1e-5, 1e-1, log=True),
        optimizer=Choice("rmsprop", "adam"),
        learning_rate=Float(1e-3, 1e-2, log=True),
        batch_size=Choice(16),
    ),
    build=mlp.model(),
    searcher=Random(trials=40, epochs=200),
    evaluator=KFold(4),
)
