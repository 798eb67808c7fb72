"""How much L2 penalty suits a 512-256-128 network on MNIST, and with which optimizer?

After Bernico, Deep Learning Quick Reference (2018): L2 against dropout.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        l2=Float(1e-6, 1e-3, log=True),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
        batch_size=Choice(100, 256),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    searcher=Random(trials=12, epochs=20),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
