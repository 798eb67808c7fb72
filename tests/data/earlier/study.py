"""A small search on a made table, stopped halfway by the version that came before."""

from pathlib import Path

from hpsearch import Choice, Float, Hyperband, KFold, Space, Study
from hpsearch.tasks import table
from spaces import mlp

study = Study(
    name="earlier",
    task=table.task(
        "made",
        Path(__file__).parent / "table.csv",
        target="y",
        numbers=("x",),
        categories={"group": ("a", "b")},
        classes=("no", "yes"),
    ),
    space=Space(learning_rate=Float(1e-3, 1e-1, log=True), optimizer=Choice("adam", "sgd")),
    build=mlp.model(hidden=(4,)),
    searcher=Hyperband(max_epochs=4, eta=2),
    evaluator=KFold(2),
)
