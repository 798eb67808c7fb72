"""Fits that never stop, against fits that stop after two epochs and continue."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hpsearch.core.data import Data
from hpsearch.core.trial import Curve
from hpsearch.training.base import Fit, Trainer
from tests.contracts.trainer import arrays, same


def check_continuing(
    trainer: Trainer, fits: Sequence[Fit], data: Data, folder: Path
) -> dict[int, Curve]:
    """The curves of those that never stop; the others end in the same state, bit for bit."""

    def train(name: str, some: Sequence[Fit]) -> dict[int, Curve]:
        named = [
            dataclasses.replace(fit, checkpoint_out=folder / f"{name}-{n}.npz")
            for n, fit in enumerate(some)
        ]
        return dict(trainer.train(named, data))

    whole = train("whole", fits)
    train("half", [dataclasses.replace(fit, epochs=2) for fit in fits])
    train(
        "rest",
        [
            dataclasses.replace(fit, checkpoint_in=folder / f"half-{n}.npz")
            for n, fit in enumerate(fits)
        ],
    )
    for n in range(len(fits)):
        assert same(arrays(folder / f"whole-{n}.npz"), arrays(folder / f"rest-{n}.npz"))
    return whole
