"""The ways out work: a study is run, what the doctor says is written into it, and it is run again.

The networks are real, but as small as can be: straight lines, trained by a function of the study.
"""

import json
import re

import pytest

HEAD = """
import numpy as np
from hpsearch import *
from hpsearch.core.data import Data

def load():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, 6)).astype("float32")
    y = x @ np.arange(1, 7).reshape(-1, 1) / 4 + draws.normal(scale=0.3, size=(ROWS, 1))
    return Data(x, y.astype("float32"))

@np.errstate(all="ignore")
def descend(run, rate, batch_size=20, decay=0.0, begin=0):
    x, y = run.train
    weights = (run.restore() or {"weights": np.zeros((6, 1))})["weights"]
    for epoch in run.epochs():
        if epoch < begin:  # a warm-up: it is anywhere, and learns nothing yet
            weights = np.random.normal(size=(6, 1))
        for rows in np.array_split(np.random.permutation(len(x)), len(x) // batch_size):
            if epoch < begin:
                break
            step = x[rows].T @ (x[rows] @ weights - y[rows]) / len(rows) + decay * weights
            weights = weights - rate * step
        run.report(**run.measure(lambda rows: rows @ weights, train=True))
        run.save({"weights": weights})

"""
STUDY = """
study = Study(
    task=Task("lines", load, loss="mse", metric="loss"),
    space=Space(
        {space}
    ),
    train=train,
    searcher={searcher},
    evaluator=KFold(4),
)
"""
RANDOM = "Random(trials=60, epochs=6)"
CASES = {
    # What is wrong: the check and its subject; the space; the searcher; the training function.
    "rates too low": (
        "edge", "rate", ["rate=Float(1e-4, 1e-2, log=True),"], RANDOM,
        "train = descend",
    ),
    "minibatches too large": (
        "edge", "batch_size",
        ["rate=Float(1e-3, 1e-2, log=True),", "batch_size=Choice(32, 64, 128),"], RANDOM,
        "train = descend",
    ),
    "rates diverge": (
        "failures", "nan", ["rate=Float(1e-2, 1e80, log=True),"], "Random(trials=40, epochs=6)",
        "train = descend",
    ),
    "an option fails": (
        "failures", "exception",
        ["rate=Float(1e-3, 1e-1, log=True),", "kind=Choice('line', 'cube', 'square', 'knot'),"],
        "Random(trials=40, epochs=6)",
        "def train(run, rate, kind):\n"
        "    if kind != 'line': raise ValueError(f'no {kind} yet')\n    descend(run, rate)",
    ),
    "no use": (
        "no effect", "color", ["rate=Float(1e-4, 1e-2, log=True),", "color=Float(0.0, 1.0),"],
        "Random(trials=120, epochs=6)",
        "def train(run, rate, color):\n    descend(run, rate)",
    ),
    "too few epochs": (
        "underfitting", "epochs", ["rate=Float(1e-3, 2e-3, log=True),"], "Random(trials=30, epochs=20)",
        "train = descend",
    ),
    "a warm-up": (
        "beginnings", "", ["rate=Float(1e-4, 1e-2, log=True),"],
        "Hyperband(max_epochs=9, iterations=8)",
        "def train(run, rate):\n    descend(run, rate, begin=3)",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_way_out_leads_out(hpsearch, tmp_path, name):
    check, subject, space, searcher, train = CASES[name]
    rows = 600 if name in ("minibatches too large", "too few epochs") else 160
    text = HEAD.replace("ROWS", str(rows)) + train + "\n"
    text += STUDY.format(space="\n        ".join(space), searcher=searcher)
    lines = []
    for _ in range(4):
        (tmp_path / "lines.py").write_text(text)
        code, out, err = hpsearch("run", "lines.py", "--inline", "--fresh")
        assert code == 0, err
        found = json.loads(hpsearch("doctor", "lines", "--json")[1])[-1]["findings"]
        same = [f for f in found if f["check"] == check and subject in ("", f["subject"])]
        if not same:
            break
        assert same[0]["line"] in out or same[0] not in found[:3]
        lines.append(same[0]["line"])
        text = follow(text, same[0]["line"])
    assert lines, found
    assert not same, lines


def follow(text, line):
    """The study with a line of the doctor in it."""
    name, value = line.split("=", 1)
    if name == "searcher":
        [(option, number)] = re.findall(r"(\w+)=(\d+)", value)
        if f"{option}=" in text.rpartition("searcher=")[2]:
            return re.sub(rf"(searcher=.*){option}=\d+", rf"\g<1>{option}={number}", text)
        return re.sub(r"(searcher=\w+\()", rf"\g<1>{option}={number}, ", text)
    assert len(re.findall(rf"^        {name}=", text, re.MULTILINE)) == 1
    return re.sub(rf"^        {name}=.*$", f"        {line},", text, flags=re.MULTILINE)
