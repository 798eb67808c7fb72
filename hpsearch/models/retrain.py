"""Models to be kept: trained to a given epoch, restored from their checkpoints, and predicting."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.data import Array, Data, Inputs
from hpsearch.core.errors import HpsearchError
from hpsearch.core.task import Task
from hpsearch.training import checkpoint, engines, metrics
from hpsearch.training.base import Fit, Split
from hpsearch.training.building import build_model
from hpsearch.training.rows import SplitRows, make_model_spec, prepare_rows

_BATCH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained model, compiled as `build` has it, with the rows it was trained on.

    transformer: the fitted preprocessing; None where the task has none.
    """

    model: Any
    rows: SplitRows

    @property
    def transformer(self) -> Any:
        return self.rows.transformer

    def predict_validation(self) -> Array:
        """Predictions of shape (rows, outputs) for the validation rows of its split."""
        return predict(self.model, self.rows.x_validation)


def all_rows(rows: int) -> Split:
    """To train on all and validate on nothing; training wants a row for it, and gets the first."""
    return Split(np.arange(rows), np.arange(1))


def train(
    task: Task, data: Data, fits: Sequence[Fit], *, engine: str, backend: str
) -> Iterator[Trained]:
    """Train to the last epoch, together if the engine can; yield the models in the order of `fits`.

    Raises HpsearchError where one of them diverges.
    """
    # By its loss, which one row tells too; what is validated here decides nothing.
    trainer = engines.make_trainer(replace(task, metric="loss", direction=None), engine, backend)
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        saved = [
            replace(fit, checkpoint_out=Path(folder) / f"{i}.npz", patience=None)
            for i, fit in enumerate(fits)
        ]
        for _, curve in trainer.train(saved, data):
            if curve.failure is not None:
                raise HpsearchError(
                    f"training anew failed: {curve.failure.message}; choose another trial, or "
                    "another --seed"
                )
        prepared: dict[int, SplitRows] = {}
        for fit in saved:
            if id(fit.split) not in prepared:
                prepared = {
                    id(fit.split): prepare_rows(task, data, fit.split)
                }  # one at a time: memory
            yield Trained(
                _restored(task, data, fit, prepared[id(fit.split)]), prepared[id(fit.split)]
            )


def predict(model: Any, x: Inputs) -> Array:
    """Of shape (rows, outputs)."""
    predicted = np.asarray(model.predict(x, batch_size=_BATCH, verbose=0))
    return predicted.reshape(len(predicted), -1)


def _restored(task: Task, data: Data, fit: Fit, rows: SplitRows) -> Any:
    # The metric `loss` is a function of ours, which a saved model must not need to be loaded again.
    compiled = [] if task.metric == "loss" else metrics.make_metrics(task)
    model = build_model(
        fit.build, make_model_spec(task, rows, data.y, compiled), fit.params, fit.seed
    )
    assert fit.checkpoint_out is not None
    if checkpoint.load(fit.checkpoint_out, fit, model) is None:
        raise HpsearchError(
            f"the checkpoint {fit.checkpoint_out} could not be written or read; see the log"
        )
    return model
