"""How large should a network for film reviews be, and which loss suits it?

After Chollet, Deep Learning with Python, first edition, sections 3.4 and 4.4, who uses 16 + 16 units
and crossentropy, and compares them with 4 + 4. These two are tried first; he gives them 20 epochs,
and 4 where he trains for the test. Here: one to three layers of 4 to 64 units, and mean squared
error too. His 512 + 512 units are left out for the time that they take.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

BOOK = {"layers": 2, "funnel": 1.0, "loss": "binary_crossentropy"}
BOOK |= {"learning_rate": 0.001, "batch_size": 512}

study = Study(
    task=imdb.task(),
    space=Space(
        mlp.funnel(3, 4, 64),
        loss=Choice("binary_crossentropy", "mse"),
        learning_rate=Float(1e-4, 3e-3, log=True),
        batch_size=Choice(512),
    ),
    build=mlp.model(),
    start=[BOOK | {"units": units} for units in (16, 4)],
    searcher=Random(trials=32, epochs=12),
    evaluator=Holdout(fraction=0.4, shuffle=False),
)
