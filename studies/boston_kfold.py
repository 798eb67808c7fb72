"""Which network best predicts the value of homes around Boston, by 4-fold cross-validation?

After Chollet, Deep Learning with Python, first edition, section 3.6, whose folds are blocks of rows
in their order. With 404 rows, a single split would mislead. His network is tried first: with the
batch of 1 of his folds, and with the 16 of his last model. He stops at 100 and 80 epochs; here an
epoch is chosen by the mean over the folds.
"""

from hpsearch import Choice, Float, KFold, Random, Space, Study
from hpsearch.tasks import boston
from spaces import mlp

BOOK = {"layers": 2, "units": 64, "funnel": 1.0, "dropout": 0.0, "penalty": "none"}
BOOK |= {"optimizer": "rmsprop", "learning_rate": 0.001}

study = Study(
    task=boston.task(),
    space=Space(
        mlp.funnel(3, 64, 256),
        mlp.penalties(l2=(1e-5, 1e-1)),
        dropout=Float(0.0, 0.3),
        optimizer=Choice("rmsprop", "adam"),
        learning_rate=Float(1e-3, 1e-2, log=True),
        batch_size=Choice(1, 16),
    ),
    build=mlp.model(),
    start=[BOOK | {"batch_size": size} for size in (1, 16)],
    searcher=Random(trials=24, epochs=100),
    evaluator=KFold(4, shuffle=False),
)
