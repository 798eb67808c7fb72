"""Share large data between workers: loaded once, and in memory once.

The first worker writes its arrays to files, and all workers map these files into memory. The test
rows are not among them: no search reads them.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.arrays import LARGE, Array, is_lazy
from hpsearch.core.coding import Coding
from hpsearch.core.data import BY_ROW, Data
from hpsearch.core.errors import DataError
from hpsearch.core.task import Task
from hpsearch.training.shared_frames import codes_from_json, codes_to_json


def load(task: Task, folder: Path | Data | None) -> Data:
    """The task's data.

    Args:
        task: the task.
        folder: where data is shared. Data that is there is mapped; otherwise it is loaded, and
            written there if it is large. None: load it. Data: return this, which is loaded.
    """
    if folder is None:
        return task.load()
    if isinstance(folder, Data):
        return folder
    index, refused = folder / "index.json", folder / "refused"
    if index.exists():
        return _map_arrays(folder, json.loads(index.read_text(encoding="utf-8")))
    data = task.load()
    if is_lazy(data.x) or data.given_streams is not None:  # every worker reads what it needs
        return data
    parts, frames = _name_arrays(data), codes_to_json(data.frames)
    if frames is None or refused.exists() or sum(array.nbytes for array in parts.values()) < LARGE:
        return data  # each worker loads small data itself
    try:
        for number, array in enumerate(parts.values()):
            np.save(folder / f"{number}.npy", np.ascontiguousarray(array), allow_pickle=False)
        found = {
            "arrays": list(parts),
            "columns": data.columns,
            "coding": data.coding and data.coding.to_json(),
            "version": data.version,
            "validation_rows": data.validation_rows,
            "frames": frames,
        }
        (folder / "writing").write_text(json.dumps(found), encoding="utf-8")
        os.replace(folder / "writing", index)
    except OSError:  # no room: each worker loads its own, and none tries again
        for path in folder.iterdir():
            path.unlink()
        refused.touch()
        return data
    return _map_arrays(folder, found)


def compute_once(folder: Path | None, name: str, compute: Callable[[], Array]) -> Array:
    """An array that one worker computes and all map: for what is the same for all trials.

    Workers that begin at the same moment may each compute it. folder: where data is shared; None:
    compute it here.
    """
    if folder is None:
        return compute()
    path = folder / f"{name}.npy"
    if not path.exists():
        array = compute()
        partial = folder / f"{name}-{os.getpid()}.partial"
        try:
            with open(partial, "wb") as file:
                np.save(file, array, allow_pickle=False)
            os.replace(partial, path)
        except OSError:  # no room
            partial.unlink(missing_ok=True)
            return array
    mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder to share data in; deleted at the end."""
    _delete_leftovers()
    with tempfile.TemporaryDirectory(
        prefix=f"hpsearch-{os.getpid()}-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def _name_arrays(data: Data) -> dict[str, Array]:
    """The arrays by name: "x", or "x NAME" for each of several inputs; "y" likewise; "groups"..."""
    if isinstance(data.x, np.ndarray):
        arrays = {"x": data.x}
    else:
        arrays = {f"x {name}": array for name, array in data.x.items()}
    if isinstance(data.y, np.ndarray):
        arrays["y"] = data.y
    else:
        arrays |= {f"y {name}": array for name, array in data.y.items()}
    for name in BY_ROW:
        if (array := getattr(data, name)) is not None:
            arrays[name] = array
    return arrays


def _map_arrays(folder: Path, index: Mapping[str, Any]) -> Data:
    try:
        parts = {
            # As plain arrays: these pages are in memory already, for all workers.
            name: np.asarray(np.load(folder / f"{number}.npy", mmap_mode="r", allow_pickle=False))
            for number, name in enumerate(index["arrays"])
        }
    except (OSError, ValueError) as error:
        raise DataError(f"the data shared in {folder} cannot be read: {error}") from error
    inputs = {name[2:]: array for name, array in parts.items() if name.startswith("x ")}
    targets = {name[2:]: array for name, array in parts.items() if name.startswith("y ")}
    by_row: dict[str, Any] = {name: parts.get(name) for name in BY_ROW}
    return Data(
        inputs or parts["x"],
        targets or parts["y"],
        **by_row,
        columns=index["columns"],
        coding=index["coding"] and Coding.from_json(index["coding"]),
        version=index["version"],
        validation_rows=index["validation_rows"],
        frames=codes_from_json(index["frames"]),
    )


def _delete_leftovers() -> None:
    """Delete the folders of processes that were killed."""
    if not hasattr(os, "getuid"):
        return
    for path in Path(tempfile.gettempdir()).glob("hpsearch-*-*"):
        pid = path.name.split("-")[1]
        try:
            if path.lstat().st_uid == os.getuid() and pid.isdigit():
                os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
