"""Which kernel, filters, dense layers and dropout suit a small convolutional network on CIFAR-10?

After Bernico, Deep Learning Quick Reference (2018), chapter 7, who advises to search the size of the
kernel first: the first three trials are his network (64 and 32 filters of 3 x 3, dense layers of 512
and 256, dropout 0.2, Adam, batches of 32) with kernels of 3, 5 and 2. He trains on 50,000 pictures
for 200 epochs and validates on half of the test; here a fifth of 10,000 pictures validates, and six
epochs are trained: about eight minutes on two cores. A GPU should get `task=cifar10.task()` and
`--epochs 60`. Without one, `--backend tensorflow` trains convolutions two to three times faster.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import cifar10
from spaces import cnn

BERNICO = {
    "blocks": 2,
    "filters_1": 64,
    "filters_2": 32,
    "kernel": 3,
    "padding": "valid",
    "normalization": "batch_after",
    "norm_momentum": 0.99,
    "dense": 2,
    "units_1": 512,
    "units_2": 256,
    "dense_dropout": 0.2,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "batch_size": 32,
}

study = Study(
    task=cifar10.task(per_class=1000),
    space=Space(
        cnn.filters(2, 16, 64),
        cnn.dense(2, 64, 512),
        kernel=Choice(2, 3, 5),
        padding=Choice("valid", "same"),
        normalization=Choice("batch", "batch_after"),
        norm_momentum=Choice(0.9, 0.99),
        dense_dropout=Float(0.0, 0.5),
        optimizer=Choice("adam"),
        learning_rate=Float(3e-4, 3e-3, log=True),
        batch_size=Choice(32, 64),
    ),
    build=cnn.model(),
    searcher=Random(trials=8, epochs=6),
    start=[BERNICO, BERNICO | {"kernel": 5}, BERNICO | {"kernel": 2}],
    evaluator=Holdout(fraction=0.2),
)
