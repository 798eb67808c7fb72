"""How much better than dense networks are small convolutional ones on MNIST?

After Chollet, Deep Learning with Python, first edition, section 5.1, on the split of the other
studies of MNIST. His network is tried first; he trains it for 5 epochs on all 60,000 rows. It is too
deep for the stand-in's small images, where its trial fails. Without a GPU, `--backend tensorflow`
trains convolutions two to three times faster.
"""

from hpsearch import Choice, Float, Holdout, Int, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import cnn

BOOK = {"blocks": 3, "filters_1": 32, "filters_2": 64, "filters_3": 64, "units": 64}
BOOK |= {"padding": "valid", "pooling": "between", "normalization": "none", "dropout": 0.0}
BOOK |= {"optimizer": "rmsprop", "learning_rate": 0.001, "schedule": "constant", "batch_size": 64}

study = Study(
    task=mnist.images(),
    space=Space(
        blocks=Int(2, 3),
        filters_1=Int(16, 64, log=True),
        filters_2=Int(16, 64, log=True),
        filters_3=Int(16, 64, log=True, when={"blocks": 3}),
        units=Choice(64, 128),
        padding=Choice("same", "valid"),
        pooling=Choice("all", "between"),
        normalization=Choice("batch", "none"),
        dropout=Float(0.0, 0.6),
        optimizer=Choice("adam", "rmsprop"),
        learning_rate=Float(5e-4, 3e-3, log=True),
        schedule=Choice("constant", "cosine", "one_cycle"),
        batch_size=Choice(64, 128),
    ),
    build=cnn.model(),
    start=[BOOK],
    searcher=Random(trials=8, epochs=5),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
