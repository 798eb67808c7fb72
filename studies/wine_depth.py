"""How deep should a network be that predicts the alcohol of white wine?

After Bernico, Deep Learning Quick Reference (2018): one hidden layer against five.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import wine
from spaces import mlp

study = Study(
    task=wine.task(),
    space=Space(
        mlp.funnel(5, 32, 256),
        optimizer=Choice("adam", "rmsprop"),
        learning_rate=Float(3e-4, 5e-3, log=True),
        batch_size=Choice(32),
    ),
    build=mlp.model(),
    searcher=Random(trials=32, epochs=150),
    evaluator=Holdout(fraction=1 / 9),
)
