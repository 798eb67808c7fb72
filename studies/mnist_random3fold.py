"""Random search by three folds: which batch size, dropout and optimizer suit 512-256-128 on MNIST?

After Bernico, Deep Learning Quick Reference (2018), chapter 6: ten points of his ranges, by three
folds in the rows' order, one epoch each. There the folds are of 55,000 rows, here of all 60,000.
Adadelta has the rate of its paper, as in the Keras of the book. Two cores take about six
minutes; a GPU's time is better spent on more epochs: `--epochs 10`.
"""

from hpsearch import Choice, KFold, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        batch_size=Choice(10, 20, 30, 40, 50),
        dropout=Choice(0.1, 0.2, 0.3, 0.4, 0.5),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
    ),
    build=mlp.model(hidden=(512, 256, 128)),
    searcher=Random(trials=10, epochs=1),
    start=(),
    evaluator=KFold(3, shuffle=False),
)
