"""Of which Keras's internals training side by side makes use, and what happens without them."""

import dataclasses
import logging
import re

import pytest

from hpsearch import Data, Holdout, Task
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.tasks import digits
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit
from spaces import mlp
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax"),
]

WHOLE = digits.task().load()
DATA = Data(WHOLE.x[:100], WHOLE.y[:100])
TASK = Task("digits", DATA, loss="sparse_categorical_crossentropy", metric="accuracy")
SPLIT = Holdout(rows=20).splits(TASK, DATA, seed=0)[0]
FITS = [Fit(mlp.model(hidden=(3,)), {}, SPLIT, seed, 1) for seed in range(2)]

# Ours, or what `shape` and `dtype` are, without which there is no variable.
OURS = {"_deferred", "_shape", "_dtype"}


@pytest.fixture
def internals():
    backend.choose()
    from hpsearch.training import keras_internals

    yield keras_internals
    keras_internals.missing.cache_clear()


@pytest.fixture
def lacking(internals, monkeypatch):
    """A Keras whose optimizers have lost what is relied on."""

    def gone():
        raise AttributeError

    known = next(i for i in internals.RELIED_ON if i.name == "Optimizer.stateless_apply")
    lost = dataclasses.replace(known, find=gone)
    monkeypatch.setattr(internals, "RELIED_ON", (lost,))
    internals.missing.cache_clear()


def test_the_keras_that_is_installed_has_all(internals):
    assert internals.missing() is None
    internals.check()


def test_an_argument_that_is_gone_is_missed(internals, monkeypatch):
    known = next(i for i in internals.RELIED_ON if i.name == "Model.compute_loss_and_updates")
    other = dataclasses.replace(known, find=lambda: lambda trainable_variables: None)
    monkeypatch.setattr(internals, "RELIED_ON", (other,))
    internals.missing.cache_clear()
    expected = "argument non_trainable_variables of Model.compute_loss_and_updates"
    assert internals.missing() == expected


def test_without_them_gang_is_refused_in_one_line_and_auto_trains_by_fit(lacking):
    import keras

    with pytest.raises(HpsearchError) as refused:
        engines.make_trainer(TASK, "gang", "jax")
    line = str(refused.value)
    assert f"Keras {keras.__version__} has no Optimizer.stateless_apply" in line
    assert "--engine fit" in line
    assert "\n" not in line
    trainer = engines.make_trainer(TASK, "auto", "jax")
    remark = trainer.probe(FITS[0].build, [{}], SPLIT, DATA)
    assert remark.startswith("models are trained one after the other, by fit: Keras")
    assert len(dict(trainer.train(FITS, DATA))) == 2
    assert engines.make_trainer(TASK, "fit", "jax").probe(FITS[0].build, [{}], SPLIT, DATA) is None


def test_a_program_that_keras_refuses_is_trained_by_fit(monkeypatch, caplog):
    """What nobody foresaw: an argument that Keras checks only when the step is traced."""
    backend.choose()
    from hpsearch.training.batched import trainer
    from hpsearch.training.batched.traced_step import TracedTraining

    refused = []

    def refuse(self, *arguments):
        refused.append(arguments)
        raise ValueError("label_smoothing must be a float or int")

    monkeypatch.setattr(TracedTraining, "train_epochs", refuse)
    why = r"its step is not compiled \(ValueError: label_smoothing must be a float or int\)"
    with pytest.raises(BuildError, match=f"--engine gang cannot train this model: {why}"):
        dict(trainer.BatchedTrainer(TASK, strict=True).train(FITS, DATA))
    with caplog.at_level(logging.WARNING):
        trainer = trainer.BatchedTrainer(TASK)
        curves = dict(trainer.train(FITS, DATA))
        times = len(refused)
        assert dict(trainer.train(FITS, DATA)).keys() == curves.keys()
    expected = dict(engines.make_trainer(TASK, "fit", "jax").train(FITS, DATA))
    assert [curves[n].validation_loss for n in (0, 1)] == [
        expected[n].validation_loss for n in (0, 1)
    ]
    assert len(re.findall(why, caplog.text)) == 1
    assert len(refused) == times  # it is not tried again for the trials that follow


def test_whatever_is_private_in_keras_is_named_there(internals):
    """So that whoever mends us for a new Keras finds all of it in one file."""
    private = re.compile(
        r"(?:(?<!self)(?<!cls)(?<!os)\.|attr\(\w[\w.]*, \")(_[a-z]\w*)|keras\.src\.([\w.]+)"
    )
    named = (ROOT / "hpsearch/training/keras_internals.py").read_text()
    for file in sorted((ROOT / "hpsearch/training").rglob("*.py")):
        if file.name == "compile_cache.py" or "keras" not in file.read_text():
            continue
        for line in file.read_text().splitlines():
            for attribute, module in private.findall(line):
                name = attribute or module.split(".")[-1]
                if "import" not in line and attribute not in OURS:
                    assert name in named, f"{file.name}: {line.strip()}"
