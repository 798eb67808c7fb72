"""Tables of learning curves: what `curves.py` writes and `replay_curves.py` reads.

A table is one `.npz` file without pickled objects. Values keep four digits and a half, so that the
file is small.
"""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import Space

FOLDER = Path(__file__).with_name("tables")
_DROPPED_BITS = 9  # of the 23 of a float32's fraction


@dataclass(frozen=True)
class Table:
    """Points of one study, each trained to the last epoch.

    Args:
        points: in the order in which they were drawn.
        values: float32 (points, folds, epochs), the metric on validation rows; NaN from the epoch
            on at which a fit diverged.
        seconds: float32 (points,), of a processor: each one's share of the time of those trained
            beside it, all folds and epochs, without compiling.
        weights: int64 (points,), of the model.
        about: "space", "direction", "structure", and "seconds_to_compile" and "seconds_alone" of
            the first point, trained with nothing beside it, likewise of a processor.
    """

    points: list[dict[str, Any]]
    values: np.ndarray
    seconds: np.ndarray
    weights: np.ndarray
    about: dict[str, Any]

    @property
    def space(self) -> Space:
        return Space.from_json(self.about["space"])

    def joined(self, other: "Table") -> "Table":
        """The points of this table, then those of the other, with the facts of this one."""
        return Table(
            self.points + other.points,
            np.concatenate([self.values, other.values]),
            np.concatenate([self.seconds, other.seconds]),
            np.concatenate([self.weights, other.weights]),
            self.about,
        )


def read_table(name: str) -> Table | None:
    """The table of a study; None where there is none yet."""
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(file["about"].tobytes())
        points = about.pop("points")
        return Table(points, file["values"], file["seconds"], file["weights"], about)


def write_table(name: str, table: Table) -> None:
    """Write the table in place of an older one, whole or not at all."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({**table.about, "points": table.points}, allow_nan=False)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        about=np.frombuffer(text.encode(), np.uint8),
        values=round_off(table.values),
        seconds=table.seconds.astype(np.float32),
        weights=table.weights,
    )
    partial = FOLDER / f"{name}.npz.partial"
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, FOLDER / f"{name}.npz")


def round_off(values: np.ndarray) -> np.ndarray:
    """Values as float32 with fewer digits, which deflate well; NaN and infinity stay what they are."""
    found = np.ascontiguousarray(values, np.float32)
    bits = found.view(np.uint32)
    half = np.uint32(1 << (_DROPPED_BITS - 1))
    rounded = ((bits + half) >> _DROPPED_BITS << _DROPPED_BITS).view(np.float32)
    return np.where(np.isfinite(found), rounded, found)
