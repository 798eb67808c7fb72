"""Trainers by the name of their engine, for tests that compare them."""

from typing import Any

from hpsearch.core.task import Task
from hpsearch.training import backend

ENGINES = ["fit", *(["gang"] if backend.name() == "jax" else [])]


def make_trainer(engine: str, task: Task) -> Any:
    """The trainer of an engine; "gang" refuses what cannot be trained side by side."""
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    if engine == "fit":
        return FitTrainer(task)
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(task, strict=True)
