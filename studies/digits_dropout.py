"""Which dropout, width, optimizer and batch size suit a small network on digits? Needs no files."""

from hpsearch import Choice, Float, Int, KFold, Random, Space, Study
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(
        units=Int(32, 256, log=True),
        dropout=Float(0.0, 0.5),
        optimizer=Choice("rmsprop", "adam", "adadelta"),
        batch_size=Choice(16, 32, 64),
    ),
    build=mlp.model(),
    searcher=Random(trials=8, epochs=15),
    evaluator=KFold(3),
)
