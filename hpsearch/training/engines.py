"""Choose the trainer: `model.fit`, or many fits side by side."""

from pathlib import Path

from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.core.task import Task
from hpsearch.training.base import Trainer

ENGINES = ("auto", "gang", "fit")


def make_trainer(
    task: Task,
    engine: str,
    backend: str,
    *,
    has_callbacks: bool = False,
    shared: Path | None = None,
    trains_itself: bool = False,
    compares_curves: bool = False,
    streams: bool = False,
) -> Trainer:
    """The trainer of an engine. Call this once the backend is chosen.

    Args:
        task: what is learned.
        engine: "fit": `model.fit`, one fit after the other. "gang": side by side, or not at all.
            "auto": side by side where that is possible and faster.
        backend: the backend that Keras runs on.
        has_callbacks: whether fits have Keras callbacks, which only `model.fit` calls.
        shared: a folder of this run and data, where workers share what one of them computes.
        trains_itself: whether the study has a training function of its own.
        compares_curves: whether the searcher compares training with validation curves.
        streams: whether the data comes in streams, which only `model.fit` takes.

    Raises HpsearchError where the engine does not train on this backend, cannot work with this
    version of Keras, or does not take streams.
    """
    if not isinstance(engine, str) or engine not in ENGINES:
        raise HpsearchError(
            f"unknown engine {brief(engine)}{did_you_mean(engine, ENGINES)}; known: "
            f"{', '.join(ENGINES)}"
        )
    check_engine(engine, backend)
    if streams:
        _check_streams(task, engine, trains_itself, compares_curves)
        from hpsearch.training.fit import FitTrainer

        if backend != "jax" or engine == "fit":
            return FitTrainer(task)
        return FitTrainer(
            task, "models are trained one after the other, by fit: the data comes in streams"
        )
    if trains_itself:
        if engine == "gang":
            raise HpsearchError(
                "--engine gang trains models that build returns, and this study trains by a "
                "function of its own; use --engine auto, or fit"
            )
        from hpsearch.training.own_trainer import OwnTrainer

        return OwnTrainer(task, compares_curves)
    if has_callbacks and engine == "gang":
        raise HpsearchError(
            "--engine gang cannot train with callbacks, which model.fit calls; use --engine fit"
        )
    if has_callbacks and backend == "jax" and engine == "auto":
        from hpsearch.training.fit import FitTrainer

        return FitTrainer(
            task, "models are trained one after the other, by fit: the study has callbacks"
        )
    if engine == "fit" or backend != "jax":
        from hpsearch.training.fit import FitTrainer

        return FitTrainer(task)
    from hpsearch.training import keras_internals

    if engine == "gang":
        keras_internals.check()
    elif (why := keras_internals.why_not_side_by_side()) is not None:
        from hpsearch.training.fit import FitTrainer

        return FitTrainer(task, f"models are trained one after the other, by fit: {why}")
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(task, strict=engine == "gang", shared=shared)


def check_engine(engine: str, backend: str) -> None:
    """Raise HpsearchError where the engine does not train on the backend."""
    if engine == "gang" and backend != "jax":
        raise HpsearchError(
            f"--engine gang trains on the backend jax, and the backend is {backend}; use "
            "--backend jax, or --engine fit"
        )


def _check_streams(task: Task, engine: str, trains_itself: bool, compares_curves: bool) -> None:
    """Raise HpsearchError for what needs rows."""
    if trains_itself:
        raise HpsearchError(
            "train= gets rows, and this task has streams; give Data(x=) a Source instead, or give "
            "build= a model, which fit trains"
        )
    if engine == "gang":
        raise HpsearchError(
            "--engine gang needs rows to train on side by side, and this task has streams; use "
            "--engine fit, or give Data(x=) a Source"
        )
    if compares_curves and task.objective.needs_predictions:
        raise HpsearchError(
            f"the searcher compares training with validation curves, and metric "
            f"{task.objective.name!r} is not computed on a stream that is trained on; take one that "
            "Keras counts, as accuracy or loss, or another searcher"
        )
