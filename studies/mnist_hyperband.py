"""Which dropout, optimizer and learning rate give a 512-256-128 network the least loss on MNIST?

After Bernico, Deep Learning Quick Reference (2018), chapter 6, who searches most of them by
Hyperband, up to 81 epochs: `--searcher hyperband:max_epochs=81,eta=3,min_epochs=1` does as much, 206
trials, and takes hours without a GPU. The best point in the log of his search is tried first.
"""

from hpsearch import Choice, Float, Holdout, Hyperband, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(metric="loss"),
    space=Space(
        dropout=Float(0.1, 0.6),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
        learning_rate=Float(2e-4, 2e-3, log=True, when={"optimizer": ("rmsprop", "adam")}),
        batch_size=Choice(100, 256),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    start=[{"dropout": 0.1 + 0.4 / 9, "optimizer": "adadelta", "batch_size": 100}],
    searcher=Hyperband(max_epochs=27, eta=3, min_epochs=3),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
