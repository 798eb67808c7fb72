"""A builder knows its default point, and a study tries it first."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch import (
    Auto,
    Choice,
    Data,
    Float,
    Grid,
    Int,
    KerasTunerHyperband,
    Random,
    Space,
    Study,
    Task,
)
from hpsearch.core.errors import StudyError
from hpsearch.core.trial import Facts, Suggestion
from hpsearch.runs.identity import find_changes, find_first_points, make_search_record
from hpsearch.searchers.base import plan_search
from hpsearch.store import AskedEvent, Store
from spaces import cnn, mlp, network, text

TASK = Task("t", Data(np.zeros((9, 2)), np.arange(9.0)), "mse")
FACTS = Facts("", "", "jax", {})
SPACE = Space(units=Int(8, 32, log=True), l2=Float(1e-3, 1e-1, log=True))


def make_build(**default):
    def build(spec, **params):
        raise AssertionError("nothing is built here")

    build.default = default
    return build


def make_study(build=None, **options):
    given = {"task": TASK, "space": SPACE, "build": build or make_build(units=20), **options}
    return Study(**given)


def make_record(study, tmp_path, facts=FACTS):
    file = tmp_path / "study.py"
    file.write_text("")
    return make_search_record(study, file, facts)


def test_the_default_is_moved_into_the_space():
    space = Space(
        units=Int(8, 32, log=True),
        rows=Int(1, 9, step=4),
        dropout=Float(0.25, 0.5),
        rate=Float(0.0, 1.0, step=0.25),
        optimizer=Choice("sgd", "rmsprop", "momentum"),
        activation=Choice("relu", "elu"),
        momentum=Float(0.5, 0.9, when={"optimizer": "momentum"}),
        other=Int(1, 3),
    )
    build = make_build(
        units=64, rows=4, dropout=0.0, rate=0.6, optimizer="adam", activation="elu", blocks=2,
        momentum=0.9,
    )  # fmt: skip
    study = make_study(build, space=space)
    assert study.first_points == [
        {
            "units": 32, "rows": 5, "dropout": 0.25, "rate": 0.5, "optimizer": "rmsprop",
            "activation": "elu", "other": 2,
        }
    ]  # fmt: skip
    space.check(study.first_points[0])


@pytest.mark.parametrize(
    "space",
    [
        Space(mlp.widths(3), mlp.dropouts(3), mlp.normalization(), mlp.residual(3)),
        Space(mlp.funnel(4, 128, 256), mlp.max_norm(), mlp.input_dropout(), mlp.activations()),
    ],
)
def test_builders_have_a_default_within_any_of_their_spaces(space):
    study = make_study(mlp.model(), space=space)
    (point,) = study.first_points
    space.check(point)
    assert point["layers"] == 2
    assert point.get("units_1", 64) == 64
    assert point.get("units", 128) == 128


@pytest.mark.parametrize("build", [cnn.model(), mlp.model(), text.model(100)])
def test_every_builder_has_one(build):
    assert dict(network.DEFAULT).items() <= dict(build.default).items()
    assert len(build.default) > len(network.DEFAULT)


@pytest.mark.parametrize(
    ("options", "points"),
    [
        ({}, [{"units": 20, "l2": pytest.approx(0.01)}]),
        ({"start": ()}, []),
        ({"start": [{"units": 9, "l2": 0.1}]}, [{"units": 9, "l2": 0.1}]),
        ({"searcher": Grid(points=2)}, []),
        ({"searcher": KerasTunerHyperband()}, []),
        ({"build": make_build(blocks=2)}, []),
        ({"build": lambda spec, units, l2: None}, []),
        ({"build": None, "train": make_build(units=20)}, []),
    ],
)
def test_when_it_is_tried(options, points):
    given = {"task": TASK, "space": SPACE, "build": make_build(units=20), **options}
    assert Study(**given).first_points == points


@pytest.mark.parametrize("searcher", [Auto(), Random()])
def test_it_is_the_first_trial(searcher):
    study = make_study(searcher=searcher)
    first = searcher.start(SPACE, seed=0, first=study.first_points).ask(0)
    assert isinstance(first, Suggestion)
    assert first.params == study.default_point


def test_a_default_that_is_no_dict_is_refused():
    build = make_build()
    build.default = 3
    with pytest.raises(StudyError, match=r"build\.default is a dict .*, got 3; or give start=\(\)"):
        make_study(build)
    assert make_study(build, start=()).first_points == []


def test_methods_that_take_no_first_points_still_plan():
    study = make_study(searcher=Grid(points=2))
    plan = plan_search(study.searcher, SPACE, first=study.first_points)
    assert plan.trials == 4


def test_a_search_goes_on_with_the_points_that_it_began_with(tmp_path):
    study = make_study()
    now = make_record(study, tmp_path)
    assert find_first_points(study, now) == [study.default_point]
    # A store of an earlier version, or of a study with start=(): no default point was tried.
    before = make_record(make_study(start=()), tmp_path)
    assert "default_point" not in before.training
    assert find_changes(now, before) == []
    assert find_first_points(study, before) == []
    # The builder has another default by now.
    moved = make_study(make_build(units=31))
    assert find_changes(make_record(moved, tmp_path), now) == []
    assert find_first_points(moved, now) == [study.default_point]


def test_a_damaged_default_point_is_refused(tmp_path):
    from dataclasses import replace

    study = make_study()
    record = make_record(study, tmp_path)
    training = {**json.loads(record.training), "default_point": {"units": 10**6}}
    with pytest.raises(StudyError, match=r"default point of study .* is damaged"):
        find_first_points(study, replace(record, training=json.dumps(training)))


STUDY = """
from hpsearch import Float, Holdout, Int, Random, Space, Study
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(layers=Int(1, 2), units=Int(8, 32), learning_rate=Float(1e-4, 1e-2, log=True)),
    build=mlp.model(),
    searcher=Random(trials=2, epochs=1),
    evaluator=Holdout(rows=300),
    start=(),
)
"""


def read_points(search=-1):
    with Store(Path("store.db")) as store:
        journal = store.journal(store.searches()[search].id)
        asked = [event.answer for event in journal.events() if isinstance(event, AskedEvent)]
    return [answer.params for answer in asked if isinstance(answer, Suggestion)]


@pytest.mark.slow
def test_a_run_goes_on_without_a_default_point_or_begins_anew_with_it(
    hpsearch, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = Path("mine.py")
    file.write_text(STUDY)
    options = ("--inline", "--store", "store.db")
    assert hpsearch("run", file, *options)[0] == 0
    two = read_points()
    assert len(two) == 2
    file.write_text(STUDY.replace("    start=(),\n", ""))
    code, _, err = hpsearch("run", file, *options, "--trials", 3)
    assert (code, read_points()[:2]) == (0, two), err
    assert hpsearch("run", file, *options, "--fresh")[0] == 0
    fresh = read_points()
    assert fresh[0] == {"layers": 2, "units": 32, "learning_rate": 0.001}
    assert fresh[1] == two[0]
    assert hpsearch("run", file, *options, "--trials", 3)[0] == 0
    assert read_points()[:2] == fresh
