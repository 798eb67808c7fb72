"""Which dropout, optimizer and batch size suit a 512-256-128 network on MNIST?

After Bernico, Deep Learning Quick Reference (2018), chapter 5. His networks, without dropout and
with half of each layer dropped, are tried first; he trains them for 50 epochs, of which two cores
train 12 here.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        dropout=Float(0.0, 0.5),
        optimizer=Choice("adam", "rmsprop", "adadelta"),
        batch_size=Choice(30, 100, 256),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    start=[{"dropout": rate, "optimizer": "adam", "batch_size": 30} for rate in (0.0, 0.5)],
    searcher=Random(trials=12, epochs=12),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
