"""Do pictures of CIFAR-10 that are flipped, turned and shifted in training make a better network?

After Bernico, Deep Learning Quick Reference (2018), chapter 7. The first trials are his network
without augmentation, and with his: turned by up to 20 degrees, shifted by up to 0.02, flipped, and
without dropout; then with both. He trains on 50,000 pictures for 200 epochs; here 8,000 are trained
on for ten epochs. A GPU should get `task=cifar10.task()` and `--epochs 100`. Without one,
`--backend tensorflow` trains convolutions faster.
"""

from hpsearch import Choice, Holdout, Random, Space, Study
from hpsearch.tasks import cifar10
from spaces import augmentation, cnn

NETWORK = {
    "padding": "valid",
    "normalization": "batch_after",
    "norm_momentum": 0.99,
    "optimizer": "adam",
    "batch_size": 32,
}
AUGMENTED = {"augmentation": True, "flip": True, "rotation": 20, "shift": 0.02}

study = Study(
    task=cifar10.task(per_class=1000),
    space=Space(
        augmentation.SPACE,
        padding=Choice("valid"),
        normalization=Choice("batch_after"),
        norm_momentum=Choice(0.99),
        dense_dropout=Choice(0.0, 0.2, 0.4),
        optimizer=Choice("adam"),
        batch_size=Choice(32, 64),
    ),
    build=cnn.model(filters=(64, 32), units=(512, 256)),
    searcher=Random(trials=6, epochs=10),
    start=[
        NETWORK | {"augmentation": False, "dense_dropout": 0.2},
        NETWORK | AUGMENTED | {"dense_dropout": 0.0},
        NETWORK | AUGMENTED | {"dense_dropout": 0.2},
    ],
    evaluator=Holdout(fraction=0.2),
)
