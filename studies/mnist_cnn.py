"""How much better than dense networks are small convolutional ones on MNIST?

After Chollet, Deep Learning with Python, on the split of the other studies of MNIST. Without a GPU,
`--backend tensorflow` trains convolutions two to three times faster.
"""

from hpsearch import Choice, Float, Holdout, Random, Space, Study
from hpsearch.tasks import mnist
from spaces import cnn

study = Study(
    task=mnist.images(),
    space=Space(
        blocks=Choice(2, 3),
        filters=Choice(16, 32),
        dropout=Float(0.2, 0.6),
        optimizer=Choice("adam"),
        learning_rate=Float(5e-4, 3e-3, log=True),
        batch_size=Choice(128),
    ),
    build=cnn.model(),
    searcher=Random(trials=5, epochs=8),
    evaluator=Holdout(fraction=1 / 12, shuffle=False),
)
