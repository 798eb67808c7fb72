"""Which dropout, optimizer and batch size suit a 512-256-128 network on MNIST?

After Bernico, Deep Learning Quick Reference (2018), who tries batch sizes of 5, 10 and 100 too; the
small ones take very long without a GPU.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        dropout=Float(0.1, 0.5),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
        batch_size=Choice(64, 100, 256),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    searcher=Random(trials=16, epochs=20),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
