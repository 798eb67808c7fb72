"""How much L2 penalty suits a 512-256-128 network on MNIST, with which optimizer and schedule?

After Bernico, Deep Learning Quick Reference (2018), chapter 5: L2 against dropout. His network, with
Keras's usual factor of 0.01 for each hidden layer, is tried first; he trains it for 50 epochs, of
which two cores train 12 here. Without a penalty it is in `mnist_dropout`.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        l2=Float(1e-6, 1e-2, log=True),
        optimizer=Choice("adam", "rmsprop", "adadelta"),
        schedule=Choice("constant", "cosine", "one_cycle"),
        batch_size=Choice(30, 100, 256),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    start=[{"l2": 0.01, "optimizer": "adam", "schedule": "constant", "batch_size": 30}],
    searcher=Random(trials=12, epochs=12),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
