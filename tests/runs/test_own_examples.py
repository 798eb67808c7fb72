"""The studies that train by a function of their own: they learn, and continue as if never stopped."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from hpsearch.core.errors import FatalError
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
    "digits_gan": ({"units": 128, "learning_rate": 0.004, "momentum": 0.5}, 24, 0.5),
    "gridworld_dqn": ({"units": 64, "learning_rate": 0.003, "exploration": 0.3, "update_target": 20}, 8, 2.0),
}  # fmt: skip
FILES = [f for f in sorted((ROOT / "studies").glob("*.py")) if "train=" in f.read_text()]


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
    assert curves[0].validation_loss == curves[2].validation_loss
    best = study.task.objective.loss(
        curves[0].validation[study.task.objective.best(curves[0].validation)]
    )
    assert best <= study.task.objective.loss(reached)


@pytest.mark.thorough
def test_those_in_jax_say_so_elsewhere_and_the_others_run_there(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_it_learns_and_continues[gridworld_dqn]",
        f"{__file__}::test_on_this_backend_it_is_refused",
    )


@pytest.mark.parametrize("name", ["digits_own_loop", "digits_gan"])
def test_on_this_backend_it_is_refused(name):
    if os.environ.get("KERAS_BACKEND", "jax") == "jax":
        return
    study, data, split = load(name)
    with pytest.raises(FatalError, match="use --backend jax"):
        OwnTrainer(study.task).probe(study.train, [GOOD[name][0]], split, data)


@pytest.mark.parametrize("name", ["digits_forest", "gridworld_dqn"])
def test_it_is_searched_and_refitted(hpsearch, name):
    file = ROOT / "studies" / f"{name}.py"
    options = ("--searcher", "random:trials=2,epochs=2")
    code, _, err = hpsearch("run", file, "--inline", *options)
    assert code == 0, err
    assert len(json.loads(hpsearch("rank", "--json")[1])) == 2
    code, _, err = hpsearch("refit", file, *options, "-o", "m")
    assert code == 0, err
    assert json.loads(Path("m/card.json").read_text())["test"]["rows"] > 100


def test_the_shortest_ways_of_the_gridworld_are_the_best_play():
    """Its targets are what an agent gets that always takes a step of a shortest way."""
    study, data, _ = load("gridworld_dqn")
    import sys

    world = sys.modules["hpsearch_study_gridworld_dqn"]

    def act(cells, goals):
        found = []
        for cell, goal in zip(cells, goals, strict=True):
            ways = world.shortest_ways(goal)
            there = world.move(np.repeat(cell[None], 4, axis=0), np.arange(4))
            found.append(int(np.argmin(ways[there[:, 0], there[:, 1]])))
        return np.array(found)

    assert (world.play(act, data.x[:20]) == data.y[:20]).all()
    assert study.task.metric(data.y[:20], world.play(act, data.x[:20])) == 0
