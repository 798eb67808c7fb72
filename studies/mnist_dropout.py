"""Which dropout, optimizer and batch size suit a 512-256-128 network on MNIST?

After Bernico, Deep Learning Quick Reference (2018).
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        dropout=Float(0.1, 0.5),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
        batch_size=Choice(5, 10, 100),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    searcher=Random(trials=20, epochs=10),
    evaluator=Holdout(rows=5000, shuffle=False),
)
