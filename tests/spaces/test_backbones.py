"""Backbones from files: of kept models, or trained once where there is no file yet."""

import threading
from pathlib import Path

import numpy as np
import pytest

from hpsearch.core.errors import BuildError
from hpsearch.models import kept
from hpsearch.training import ModelSpec, backend
from hpsearch.training.building import build_model
from spaces import backbones, transfer

backend.choose()
import keras  # noqa: E402

SPEC = ModelSpec((8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy", rows=90, epochs=2)


def trained():
    keras.utils.set_random_seed(5)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, name="low"),
        keras.layers.Flatten(name="flat"),
        keras.layers.Dense(2, name="last"),
    ]
    return keras.Sequential(layers)


def test_a_file_is_cut_off_behind_a_layer():
    model = trained()
    model.save("two.keras")
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
    low = backbones.from_file("two.keras", layer="low")()
    assert np.allclose(low(x), model.layers[0](x))
    flat = backbones.from_file("two.keras")()
    assert flat.output_shape == (None, 144)
    assert backbones.from_file("two.keras", layer=0)().output_shape == (None, 6, 6, 4)
    head = build_model(transfer.model(backbones.from_file("two.keras")), SPEC, {}, seed=1)
    assert head.output_shape == (None, 3)


def test_it_is_trained_once_where_there_is_no_file():
    calls = []

    def train():
        calls.append(1)
        return trained()

    path = Path("new", "two.keras")
    loads = [backbones.from_file(path, layer="low", make=train) for _ in range(3)]
    found = []
    threads = [threading.Thread(target=lambda load=load: found.append(load())) for load in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert [each.output_shape for each in found] == [(None, 6, 6, 4)] * 3
    assert [each.name for each in path.parent.iterdir()] == ["two.keras"]


def test_a_training_that_fails_leaves_no_file():
    def fail():
        raise RuntimeError("no memory")

    for train, error in ((fail, RuntimeError), (lambda: "model", BuildError)):
        with pytest.raises(error):
            backbones.from_file("two.keras", make=train)()
    assert not Path("two.keras").exists()


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("none.keras", {}, "the backbone: none.keras is no file"),
        (
            "two.keras",
            {"layer": "lwo"},
            r"no layer 'lwo' \(did you mean 'low'\?\); it has low, flat",
        ),
        ("two.keras", {"layer": 3}, "no layer 3"),
        ("two.keras", {"layer": -4}, "no layer -4"),
        ("text.keras", {}, "the backbone: text.keras cannot be loaded in Keras's safe mode"),
        (".", {}, "the backbone: "),
        ("two", {"make": trained}, r"needs a path that ends with \.keras, got 'two'"),
    ],
)
def test_what_cannot_serve_is_told_in_one_line(path, options, message):
    trained().save("two.keras")
    Path("text.keras").write_text("no model")
    with pytest.raises(BuildError, match=message) as error:
        backbones.from_file(path, **options)()
    assert "\n" not in str(error.value)


STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp, transfer, backbones

first = Study(
    name="first",
    task=digits.task(),
    space=Space(dropout=Choice(0.1, 0.2)),
    build=mlp.model(hidden=(16, 8)),
    searcher=Random(trials=1, epochs=2),
)
second = Study(
    name="second",
    task=digits.task(),
    space=Space(transfer.phases(3), units=Choice(4, 8), batch_size=Choice(32)),
    build=transfer.model(backbones.from_file("models/first")),
    searcher=Random(trials=2, epochs=3),
)
study = {name}
"""


@pytest.mark.slow
def test_a_kept_model_serves_as_a_backbone_and_is_kept_with_its_head(hpsearch):
    for name in ("first", "second"):
        Path(f"{name}.py").write_text(STUDY.format(name=name))
        code, _, err = hpsearch("run", f"{name}.py", "--inline")
        assert code == 0, err
        seeds = "1" if name == "first" else "2"
        code, _, err = hpsearch("refit", f"{name}.py", "-o", f"models/{name}", "--seeds", seeds)
        assert code == 0, err
    models = kept.load(Path("models/second"))
    first, other = models.predict_each(models.prepare_inputs(np.eye(4, 64, dtype="float32")))
    assert first.shape == other.shape == (4, 10)
    assert not np.allclose(first, other)
    with pytest.raises(BuildError, match=r"has 2 models, and a backbone is one; name its file"):
        backbones.from_file("models/second")()
