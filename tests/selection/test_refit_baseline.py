"""A baseline is refitted, kept, tested once, and predicts without its study."""

import numpy as np
import pytest

from hpsearch import Choice, Data, KFold, Random, Space, Study, Task
from hpsearch import open as open_store
from hpsearch.core.errors import HpsearchError
from hpsearch.models import kept


def build(spec, units):
    import keras

    model = keras.Sequential([keras.Input(spec.input_shape), keras.layers.Dense(spec.outputs)])
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype("float32")
Y = (X @ [3.0, -2.0, 1.0, 0.0]).astype("float32")


def make_study():
    return Study(
        name="plain",
        task=Task("lines", Data(X[:72], Y[:72], X[72:], Y[72:]), loss="mse", metric="mae"),
        space=Space(units=Choice(4)),
        build=build,
        searcher=Random(trials=1, epochs=1),
        evaluator=KFold(3),
        baselines={"mean": None, "ridge regression": None},
    )


@pytest.mark.slow
def test_the_best_baseline_is_kept_tested_and_named_in_cards(tmp_path, monkeypatch):
    monkeypatch.setenv("HPSEARCH_BASELINES", "quick")
    study, store = make_study(), tmp_path / "s.db"
    report = study.run(store=store, inline=True)
    assert "ridge regression is better by" in repr(report)
    assert report.best.params == {"units": 4}

    done = study.refit(store=store, baseline="")
    assert done.card["baseline"] == "ridge regression"
    assert (done.card["seeds"], done.card["test"]["opening"]) == (1, 1)
    assert not done.card["edited"]
    loaded = kept.load(done.folder)  # without its study
    found = next(iter(loaded.predict_each(loaded.prepare_inputs(X[72:]))))
    np.testing.assert_allclose(found[:, 0], Y[72:], atol=0.3)

    again = study.refit(store=store, baseline="ridge regression")
    assert not again.opened_now
    network = study.refit(store=store, seeds=1)
    over = network.card["over_baseline"]
    assert (over["baseline"], over["verdict"]) == ("ridge regression", "worse")
    assert over["test"]["value"] == done.card["test"]["value"]
    assert "On the test rows, ridge regression reached" in repr(network)

    with pytest.raises(HpsearchError, match="has no baseline 'ridge'"):
        study.refit(store=store, baseline="ridge")
    with pytest.raises(HpsearchError, match="exclude each other"):
        study.refit(store=store, baseline="mean", trial=1)
    assert open_store(store).rank().gain.verdict == "worse"
