"""How deep should a network be that predicts the alcohol of white wine?

After Bernico, Deep Learning Quick Reference (2018), chapters 2 and 3: one hidden layer against five.
Both of his networks are tried first, trained on the mean absolute error as he trains them; he gives
them 200 and 500 epochs. He takes nine columns; here the sulphates are among them too.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import wine
from spaces import mlp

BOOK = {"loss": "mae", "optimizer": "adam", "learning_rate": 0.001, "batch_size": 32}
DEEP = {"units_2": 32, "units_3": 32, "units_4": 32, "units_5": 16}

study = Study(
    task=wine.task(),
    space=Space(
        mlp.widths(5, 16, 256),
        loss=Choice("mae", "mse"),
        optimizer=Choice("adam", "rmsprop"),
        learning_rate=Float(3e-4, 5e-3, log=True),
        batch_size=Choice(32),
    ),
    build=mlp.model(),
    start=[BOOK | {"layers": 1, "units_1": 32}, BOOK | {"layers": 5, "units_1": 32} | DEEP],
    searcher=Random(trials=32, epochs=150),
    evaluator=Holdout(fraction=1 / 9),
)
