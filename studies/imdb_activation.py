"""Do one to three layers of 16 to 64 units, tanh and squared errors matter on film reviews?

After the exercises at the end of section 3.4 in Chollet, Deep Learning with Python (2017); the first
point is the section's own network: two layers of 16 units, relu, crossentropy. As there: rmsprop,
minibatches of 512, validated on the first 10,000 reviews.
"""

from hpsearch import Choice, Grid, Holdout, Int, Space, Study
from hpsearch.tasks import imdb
from spaces import mlp

study = Study(
    task=imdb.task(),
    space=Space(
        layers=Int(1, 3),
        units=Choice(16, 32, 64),
        activation=Choice("relu", "tanh"),
        loss=Choice("binary_crossentropy", "mse"),
        optimizer=Choice("rmsprop"),
        batch_size=Choice(512),
    ),
    build=mlp.model(),
    searcher=Grid(epochs=8),
    evaluator=Holdout(fraction=0.4, shuffle=False),
    start=[
        {
            "layers": 2,
            "units": 16,
            "activation": "relu",
            "loss": "binary_crossentropy",
            "optimizer": "rmsprop",
            "batch_size": 512,
        }
    ],
)
