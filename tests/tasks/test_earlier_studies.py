"""Studies that earlier versions of `init` wrote go on: they call `hpsearch.tasks.table`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

STUDY = """
from pathlib import Path
from hpsearch import Choice, Float, Holdout, KFold, Random, Space, Study
from hpsearch.tasks import table
from spaces import mlp

study = Study(
    task=table.task("data", Path(__file__).resolve().parent / "data.csv", {options}),
    space=Space(mlp.funnel(3, 8, 64), learning_rate=Float(1e-3, 3e-2, log=True)),
    build=mlp.model(),
    searcher=Random(trials=1, epochs=40),
    evaluator={evaluator},
)
"""


def rows(count):
    rng = np.random.default_rng(0)
    for i in range(count):
        yield rng.normal(), ("red", "blue", "green")[i % 3]


def write(name, header, body):
    with open(name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([header, *body])
    return Path(name)


def run_and_refit(hpsearch, options, evaluator):
    """Run a study and refit its best point: what `run` says, the card, and what `refit` says."""
    Path("data.py").write_text(STUDY.format(options=options, evaluator=evaluator))
    code, told, err = hpsearch("run", "data.py", "--inline")
    assert code == 0, err
    code, out, err = hpsearch("refit", "data.py", "-o", "model", "--seeds", 1, "--json")
    assert code == 0, err
    return told, json.loads(out), err


@pytest.mark.slow
def test_a_number_is_ranked_in_standard_deviations_and_predicted_in_its_own_unit(hpsearch):
    body = [(n, colour, 1000 + 50 * (n + (colour == "red"))) for n, colour in rows(100)]
    write("data.csv", ("größe", "colour", "price"), body)
    told, card, err = run_and_refit(
        hpsearch,
        'target="price", numbers=("größe",), loss="mae", '
        'categories={"colour": ("blue", "green", "red")}',
        "KFold(4)",
    )
    assert "mae is in standard deviations of 'price' (1 = " in told
    assert "Values are in the unit of 'price'; in rankings" in err
    (member,), one, test = card["members"], card["unit"]["one"], card["test"]
    (ranked,) = json.loads(hpsearch("rank", "--json")[1])
    assert 30 < one < 100
    assert member["value"] == pytest.approx(ranked["value"] * one)
    assert card["validation"]["value"] == pytest.approx(card["validation"]["mae"])
    assert test["value"] == pytest.approx(test["mae"])
    assert test["against_true"][0]["true"] < 1000 < test["against_true"][-1]["true"]
    assert card["optimism"] == pytest.approx(card["validation"]["value"] - test["value"])
    true, predicted = np.loadtxt("model/test.csv", delimiter=",", skiprows=1).T
    # Both are written to six digits, some 1000 to a hundredth.
    assert np.abs(true - predicted).mean() == pytest.approx(test["value"], abs=0.01)
    assert true.mean() == pytest.approx(1000, abs=100)
    code, out, err = hpsearch("predict", "model", "data.csv")
    assert code == 0, err
    found = [float(row["predicted"]) for row in csv.DictReader(out.splitlines())]
    price = np.array([line[2] for line in body])
    assert np.abs(found - price).mean() < 0.5 * price.std()


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["logarithm", "classes"])
def test_logarithms_and_classes_in_the_order_of_time(hpsearch, kind):
    body = [
        (n, colour, 300 * np.exp(2 * n) if kind == "logarithm" else ("no", "yes")[n > 0.2])
        for n, colour in rows(150)
    ]
    write("data.csv", ("x", "colour", "y"), body)
    options = 'target="y", numbers=("x",), categories={"colour": ("red",)}, ordered="oldest first"'
    more = 'loss="mae", transform="log"' if kind == "logarithm" else 'classes=("no", "yes")'
    told, card, err = run_and_refit(
        hpsearch, f"{options}, {more}", "Holdout(fraction=0.2, shuffle=False)"
    )
    code, out, problem = hpsearch("predict", "model", "data.csv")
    assert code == 0, problem
    found = list(csv.DictReader(out.splitlines()))
    y = [line[2] for line in body]
    if kind == "classes":
        assert np.mean([row["class"] == each for row, each in zip(found, y, strict=True)]) > 0.8
        return
    assert "mae is in standard deviations of log(1 + |'y'| / " in told
    assert "residuals are in the unit of 'y'" in err
    true, predicted = np.loadtxt("model/test.csv", delimiter=",", skiprows=1).T
    assert true == pytest.approx(y[-30:], rel=1e-4)
    assert card["test"]["mae"] == pytest.approx(np.abs(true - predicted).mean(), rel=1e-3)
    values = np.array([float(row["predicted"]) for row in found])
    assert values[-30:] == pytest.approx(predicted, rel=1e-3)
    assert np.abs(values - y).mean() < 0.6 * np.abs(np.median(y) - np.array(y)).mean()
