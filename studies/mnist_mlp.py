"""Which width, optimizer and batch size suit a network with one hidden layer on MNIST?

After Chollet, Deep Learning with Python (2018), 2.1, whose network is the first trial: 512 units,
RMSprop, batches of 128, 5 epochs. There all 60,000 rows are trained on and none validates; here the
last 5,000 do, as in the other studies of MNIST. Two cores take about four minutes.
"""

from hpsearch import Choice, Holdout, Int, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import mlp

study = Study(
    task=mnist.task(),
    space=Space(
        units=Int(64, 1024, log=True),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
        batch_size=Choice(64, 128, 256),
    ),
    build=mlp.model(),
    searcher=Random(trials=12, epochs=5),
    start=[{"units": 512, "optimizer": "rmsprop", "batch_size": 128}],
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
