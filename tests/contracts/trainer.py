"""What every trainer must keep to: above all, that continuing equals never stopping."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch import Holdout, Task
from hpsearch.core import interrupt
from hpsearch.core.trial import CheckpointInterval
from hpsearch.tasks import digits
from hpsearch.training.base import Fit, Trainer
from spaces import mlp, optimizers

TASK = digits.task()
DATA = TASK.load()
(SPLIT,) = Holdout(rows=300).splits(TASK, DATA, seed=1)
OPTIMIZERS = optimizers.ALL_NAMES

Make = Callable[[Task], Trainer]


def fit(**changes: Any) -> Fit:
    params = {"dropout": 0.3, "l2": 1e-4, "optimizer": "adam"}
    return dataclasses.replace(Fit(mlp.model(hidden=(16,)), params, SPLIT, 7, 4), **changes)


def with_batch_norm(spec: Any, *, dropout: float = 0.2, optimizer: str = "adam") -> Any:
    import keras

    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dense(16, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GaussianNoise(0.1)(keras.layers.Dropout(dropout)(x))
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile(optimizer, spec.loss, metrics=spec.metrics)
    return model


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def variables(path: Path) -> dict[str, Any]:
    """Weights and the rest of the state, without curves: these are sums that may be added otherwise."""
    return {n: array for n, array in arrays(path).items() if n.startswith("variable_")}


def same(wanted: dict[str, Any], got: dict[str, Any]) -> bool:
    return {n: a.tobytes() for n, a in wanted.items()} == {n: a.tobytes() for n, a in got.items()}


@pytest.mark.slow
class TrainerContract:
    """Subclasses give a fixture `make`."""

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_continuing_equals_never_stopping(
        self, make: Make, tmp_path: Path, optimizer: str
    ) -> None:
        """Bit for bit: weights, optimizer state, random state, curve."""
        self._check_continuing(make, tmp_path, fit(params={**fit().params, "optimizer": optimizer}))

    def test_continuing_keeps_moving_statistics_and_every_generator(
        self, make: Make, tmp_path: Path
    ) -> None:
        self._check_continuing(make, tmp_path, fit(build=with_batch_norm, params={"dropout": 0.4}))

    def test_continuing_keeps_patience(self, make: Make, tmp_path: Path) -> None:
        sluggish = fit(params={"optimizer": "sgd", "learning_rate": 1e-9}, patience=2, epochs=6)
        curve = self._check_continuing(make, tmp_path, sluggish)
        assert len(curve.validation) == 3
        assert (tmp_path / "continued.npz").exists()  # for whoever continues it in turn

    def test_a_stop_is_heeded_after_an_epoch_whatever_the_number_of_folds(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folds = [fit(epochs=9, seed=n, checkpoint_out=tmp_path / f"{n}.npz") for n in range(3)]
        monkeypatch.setattr(interrupt, "is_requested", lambda: True)
        with pytest.raises(interrupt.Interrupted):
            list(make(TASK).train(folds, DATA))
        left = [json.loads(arrays(path)["history"].tobytes()) for path in tmp_path.iterdir()]
        assert left
        assert {len(history["validation"]) for history in left} == {1}

    def test_an_interrupted_fit_goes_on_where_it_stopped(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bit for bit, and at the end of the epoch in which it was asked to stop."""
        whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
        never = dict(make(TASK).train([fit(checkpoint_out=whole)], DATA))[0]
        epochs = iter([False, False, True])
        with monkeypatch.context() as patch:
            patch.setattr(interrupt, "is_requested", lambda: next(epochs))
            with pytest.raises(interrupt.Interrupted):
                list(make(TASK).train([fit(checkpoint_out=cut)], DATA))
        assert len(json.loads(arrays(cut)["history"].tobytes())["validation"]) == 3
        again = dict(make(TASK).train([fit(checkpoint_out=cut)], DATA))[0]
        assert again.validation_loss == never.validation_loss
        assert same(arrays(whole), arrays(cut))

    @pytest.mark.parametrize(
        "every", [CheckpointInterval(epochs=2), CheckpointInterval(seconds=0.0)]
    )
    def test_checkpoints_are_left_on_the_way(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: CheckpointInterval
    ) -> None:
        path, two = tmp_path / "c.npz", tmp_path / "two.npz"
        list(make(TASK).train([fit(epochs=2, checkpoint_out=two)], DATA))

        def killed() -> bool:
            if path.exists():
                raise RuntimeError("killed")
            return False

        monkeypatch.setattr(interrupt, "is_requested", killed)
        with pytest.raises(RuntimeError, match="killed"):
            list(
                make(TASK).train([fit(epochs=9, checkpoint_out=path, checkpoint_every=every)], DATA)
            )
        if every.epochs:
            assert same(arrays(two), arrays(path))

    def _check_continuing(self, make: Make, tmp_path: Path, whole: Fit) -> Any:
        trainer = make(TASK)
        paths = [tmp_path / f"{name}.npz" for name in ("whole", "half", "continued")]
        whole = dataclasses.replace(whole, checkpoint_out=paths[0])
        half = dataclasses.replace(whole, epochs=2, checkpoint_out=paths[1])
        rest = dataclasses.replace(whole, checkpoint_in=paths[1], checkpoint_out=paths[2])
        curves = [dict(trainer.train([one], DATA))[0] for one in (whole, half, rest)]
        never_stopped, stopped, continued = curves
        for name in ("train", "validation", "train_loss", "validation_loss"):
            assert getattr(continued, name) == getattr(never_stopped, name)
            assert getattr(stopped, name) == getattr(never_stopped, name)[:2]
        assert same(arrays(paths[0]), arrays(paths[2]))
        return never_stopped

    def test_a_fit_depends_on_its_seed_alone(self, make: Make) -> None:
        """Not on what was trained before it, nor on the caller's generators."""
        np.random.seed(1)
        before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
        trainer = make(TASK)
        curves = dict(trainer.train([fit(), fit(seed=8), fit()], DATA))
        assert curves[0].validation_loss == curves[2].validation_loss
        assert curves[0].validation_loss != curves[1].validation_loss
        assert (np.random.get_state()[1] == before).all()  # type: ignore[index]

    def test_learns_and_reports(self, make: Make) -> None:
        curve = dict(make(TASK).train([fit(epochs=8)], DATA))[0]
        assert curve.validation[-1] > 0.6
        assert curve.train_loss[-1] < curve.train_loss[0]
        assert curve.rows == 300
        assert curve.n_weights == 64 * 16 + 16 + 16 * 10 + 10
        assert curve.failure is None

    def test_a_diverged_fit_fails_and_the_next_is_trained(self, make: Make) -> None:
        wild = fit(params={"optimizer": "sgd", "learning_rate": 1e30})
        curves = dict(make(TASK).train([wild, fit()], DATA))
        assert curves[0].failure is not None
        assert curves[0].failure.kind == "nan"
        assert curves[0].seconds > 0  # the time that it took counts, though it failed
        assert curves[1].failure is None
        assert len(curves[1].validation) == 4

    def test_a_diverged_fit_leaves_no_checkpoint(self, make: Make, tmp_path: Path) -> None:
        wild = {"optimizer": "sgd", "learning_rate": 1e30}
        out = tmp_path / "wild.npz"
        list(make(TASK).train([fit(params=wild, checkpoint_out=out)], DATA))
        assert list(tmp_path.glob("wild*")) == []

    def test_patience_ends_a_fit(self, make: Make) -> None:
        still = {"optimizer": "sgd", "learning_rate": 1e-9}
        curve = dict(make(TASK).train([fit(params=still, patience=1, epochs=9)], DATA))[0]
        assert len(curve.validation) == 2

    def test_batch_size_is_the_fits(self, make: Make) -> None:
        curves = dict(make(TASK).train([fit(params={"batch_size": n}) for n in (8, 1000)], DATA))
        assert curves[0].train_loss[-1] < curves[1].train_loss[-1]

    def test_shuffle_is_the_fits(self, make: Make) -> None:
        points = ({}, {"shuffle": True}, {"shuffle": False})
        curves = dict(make(TASK).train([fit(params=params) for params in points], DATA))
        assert curves[0].train_loss == curves[1].train_loss != curves[2].train_loss
