"""The studies that train by a function of their own: they learn, and continue as if never stopped."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from hpsearch.core.seeds import derive_seed
from hpsearch.runs.load import Overrides, load_study
from hpsearch.training.base import Fit
from hpsearch.training.own_trainer import OwnTrainer
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

# A good point of each, the epochs that it gets, and what it reaches.
GOOD = {
    "digits_forest": ({"max_depth": 10, "max_features": "sqrt", "min_samples_leaf": 1}, 4, 0.93),
    "digits_own_loop": ({"units": 64, "dropout": 0.1, "learning_rate": 0.01, "batch_size": 32}, 4, 0.9),
    "cartpole_dqn": (
        {"layers": 2, "units": 32, "learning_rate": 0.003, "follow": 0.02, "memory": 10_000, "exploring": 2_000},
        4,
        60,  # of pushes at random: 23
    ),
    "mnist_gan": (
        {"width": 8, "noise": 16, "dropout": 0.2, "learning_rate": 0.001, "momentum": 0.5},
        4,
        9.0,  # of images whose pixels are drawn each by itself from others: 9.4
    ),
    "translate_seq2seq": (
        {"units": 64, "optimizer": "adam", "learning_rate": 0.01, "batch_size": 64},
        2,
        0.0,
    ),
}  # fmt: skip
FILES = [f for f in sorted((ROOT / "studies").glob("*.py")) if "train=" in f.read_text()]


@pytest.fixture(autouse=True)
def standing_in(monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")


def test_no_study_escapes():
    assert {file.stem for file in FILES} == set(GOOD)


def load(name):
    study = load_study(ROOT / "studies" / f"{name}.py", Overrides())
    data = study.task.load()
    return study, data, study.evaluator.splits(study.task, data, seed=derive_seed(0, "splits"))[0]


@pytest.mark.parametrize("name", GOOD)
def test_it_learns_and_continues(tmp_path, name):
    params, epochs, reached = GOOD[name]
    study, data, split = load(name)
    trainer = OwnTrainer(study.task)
    whole = Fit(study.train, params, split, 7, epochs)
    trainer.check_refit(whole, data)
    half = dataclasses.replace(whole, epochs=epochs // 2, checkpoint_out=tmp_path / "half.npz")
    rest = dataclasses.replace(whole, checkpoint_in=tmp_path / "half.npz")
    curves = [dict(trainer.train([one], data))[0] for one in (whole, half, rest)]
    assert curves[0].validation == curves[2].validation
    assert str(curves[0].validation_loss) == str(curves[2].validation_loss)  # nan is not itself
    best = study.task.objective.loss(
        curves[0].validation[study.task.objective.best(curves[0].validation)]
    )
    assert best <= study.task.objective.loss(reached)


@pytest.mark.thorough
def test_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(f"{__file__}::test_it_learns_and_continues")


@pytest.mark.parametrize("name", ["digits_forest", "cartpole_dqn"])
def test_it_is_searched_and_refitted(hpsearch, name):
    file = ROOT / "studies" / f"{name}.py"
    options = ("--searcher", "random:trials=2,epochs=2")
    code, _, err = hpsearch("run", file, "--inline", *options)
    assert code == 0, err
    assert len(json.loads(hpsearch("rank", "--json")[1])) == 2
    code, _, err = hpsearch("refit", file, *options, "-o", "m")
    assert code == 0, err
    assert json.loads(Path("m/card.json").read_text())["test"]["rows"] >= 100


def test_a_cart_moves_as_its_equations_say():
    study, data, split = load("cartpole_dqn")
    world = sys.modules["hpsearch_study_cartpole_dqn"]
    # From rest, upright: the force over the mass in place of the pole's end, for 0.02 s.
    falling = (10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1))
    moving = 10 / 1.1 + 0.1 * 0.5 * falling / 1.1
    pushed = world.push(np.zeros((2, 4)), np.array([1, 0]))
    assert np.allclose(pushed[0], [0, 0.02 * moving, 0, -0.02 * falling])
    assert np.allclose(pushed[1], -pushed[0])

    def catch(states):  # push to where the pole falls
        return (states[:, 2] + states[:, 3] > 0).astype(int)

    starts = data.x[split.validation]
    assert (world.play(catch, starts) == world.LONGEST).all()
    assert (world.play(lambda states: np.ones(len(states), int), starts) < 12).all()
    assert study.task.metric(data.y[split.validation], world.play(catch, starts)) == 200


def test_the_frechet_distance_is_of_normal_distributions(monkeypatch):
    """In one dimension it is the squared differences of means and of standard deviations."""
    load("mnist_gan")
    gan = sys.modules["hpsearch_study_mnist_gan"]
    monkeypatch.setattr(gan, "find_features", lambda pixels: pixels)
    one = np.random.default_rng(0).normal(size=(500, 2))
    other = 3 * one[::-1] + np.array([2, 0])
    apart = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
    expected = apart + np.sum((one.std(axis=0, ddof=1) * 2) ** 2)
    assert gan.frechet_distance(one, other) == pytest.approx(expected)
    assert gan.frechet_distance(one, one[::-1]) == pytest.approx(0, abs=1e-9)


def test_drawn_digits_that_look_alike_are_far_from_real_ones():
    _, data, split = load("mnist_gan")
    gan = sys.modules["hpsearch_study_mnist_gan"]
    held_out, others = (np.asarray(data.y)[rows] for rows in (split.validation, split.train))
    real = gan.frechet_distance(held_out, others[: len(held_out)])
    alike = gan.frechet_distance(held_out, np.repeat(others[:1], len(held_out), axis=0))
    assert 5 * real < alike
