"""How much better than dense networks are small convolutional ones on MNIST?

After Chollet, Deep Learning with Python, first edition, section 5.1, on the split of the other
studies of MNIST. His network is tried first; he trains it for 5 epochs on all 60,000 rows. The others
have its layers, and differ in padding and pooling, dropout, normalization and how the rate falls. On
the stand-in's images of 8 x 8, points with `padding="valid"` fail: they are too small. Without a GPU,
`--backend tensorflow` trains convolutions two to three times faster.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import cnn

BOOK = {"padding": "valid", "pooling": "between", "normalization": "none", "dropout": 0.0}
BOOK |= {"optimizer": "rmsprop", "learning_rate": 0.001, "schedule": "constant", "batch_size": 64}

study = Study(
    task=mnist.images(),
    space=Space(
        padding=Choice("same", "valid"),
        pooling=Choice("all", "between"),
        normalization=Choice("batch", "none"),
        dropout=Float(0.0, 0.6),
        optimizer=Choice("adam", "rmsprop"),
        learning_rate=Float(5e-4, 3e-3, log=True),
        schedule=Choice("constant", "cosine"),
        batch_size=Choice(64, 128),
    ),
    build=cnn.model(filters=(32, 64, 64), units=(64,)),
    start=[BOOK],
    searcher=Random(trials=8, epochs=5),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
