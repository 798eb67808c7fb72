"""How narrow may the second layer be, of a network that tells 46 topics of newswires apart?

After Chollet, Deep Learning with Python (2017), section 3.5: 64-64-46 in minibatches of 512, against
64-4-46 in minibatches of 128, which reaches a validation accuracy of 0.71 (notebook
3.6-classifying-newswires, its last training). Topics that are guessed at random, as often as each
occurs, are right in 0.19 of the test's newswires (the same notebook, after the first test).
"""

from hpsearch import Choice, Grid, Holdout, Space, Study
from hpsearch.tasks import reuters
from spaces import mlp

_BOOK = {"layers": 2, "units_1": 64, "optimizer": "rmsprop"}

study = Study(
    task=reuters.task(),
    space=Space(
        layers=Choice(2),
        units_1=Choice(64),
        units_2=Choice(4, 8, 16, 32, 64),
        optimizer=Choice("rmsprop"),
        batch_size=Choice(128, 512),
    ),
    build=mlp.model(),
    searcher=Grid(epochs=20),
    evaluator=Holdout(fraction=1000 / 8982, shuffle=False),
    start=[{**_BOOK, "units_2": 64, "batch_size": 512}, {**_BOOK, "units_2": 4, "batch_size": 128}],
)
