"""Large data is loaded once and lies in memory once, however many workers read it.

The first worker writes its arrays to files, and all of them map these: the pages are the system's,
and shared. The test rows are not among them; no search reads these.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.data import Array, Coding, Data
from hpsearch.core.errors import DataError
from hpsearch.core.task import Task

_LARGE = 32 * 2**20  # bytes; less is loaded by each worker, and needs no disk


def load(task: Task, folder: Path | Data | None) -> Data:
    """The task's data, from the folder if it was shared there, else into it if it is large; or as
    another has loaded it."""
    if folder is None:
        return task.load()
    if isinstance(folder, Data):
        return folder
    index, refused = folder / "index.json", folder / "refused"
    if index.exists():
        return _mapped(folder, json.loads(index.read_text(encoding="utf-8")))
    data = task.load()
    parts = _parts(data)
    if refused.exists() or sum(array.nbytes for array in parts.values()) < _LARGE:
        return data
    try:
        for number, array in enumerate(parts.values()):
            np.save(folder / f"{number}.npy", np.ascontiguousarray(array), allow_pickle=False)
        found = {
            "arrays": list(parts),
            "columns": data.columns,
            "coding": data.coding and data.coding.to_json(),
        }
        (folder / "writing").write_text(json.dumps(found), encoding="utf-8")
        os.replace(folder / "writing", index)
    except OSError:  # no room for it: each loads its own, and nobody tries again
        for path in folder.iterdir():
            path.unlink()
        refused.touch()
        return data
    return _mapped(folder, found)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder to share data in, for as long as this process lives or needs it."""
    _sweep()
    with tempfile.TemporaryDirectory(
        prefix=f"hpsearch-{os.getpid()}-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def _parts(data: Data) -> dict[str, Array]:
    x = {"x": data.x} if isinstance(data.x, np.ndarray) else _prefixed(data.x)
    parts = {**x, "y": data.y}
    return parts if data.groups is None else {**parts, "groups": data.groups}


def _prefixed(inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {f"x {name}": array for name, array in inputs.items()}


def _mapped(folder: Path, index: Mapping[str, Any]) -> Data:
    try:
        parts = {
            name: np.load(folder / f"{number}.npy", mmap_mode="r", allow_pickle=False)
            for number, name in enumerate(index["arrays"])
        }
    except (OSError, ValueError) as error:
        raise DataError(f"the data shared in {folder} cannot be read: {error}") from error
    inputs = {name[2:]: array for name, array in parts.items() if name.startswith("x ")}
    return Data(
        inputs or parts["x"],
        parts["y"],
        groups=parts.get("groups"),
        columns=index["columns"],
        coding=index["coding"] and Coding.from_json(index["coding"]),
    )


def _sweep() -> None:
    """Delete what a process that was killed left behind."""
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
