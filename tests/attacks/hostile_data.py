"""Hostile files in $HPSEARCH_DATA: whatever lies there, a task refuses it in one line and runs nothing.

Loaded in this process, with a limit of time and memory; sound files are made small here, so that no
real data is needed.
"""

import io
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from hpsearch import Holdout
from hpsearch.core.arrays import Array
from hpsearch.core.task import Task
from hpsearch.tasks import boston, imdb, mnist, reuters, seizure, wine
from hpsearch.training.rows import prepare_rows
from tests.attacks import things, uses
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.guard import judge_call

TASKS: dict[str, tuple[str, Callable[[], Task]]] = {
    "mnist": ("mnist.npz", mnist.task),
    "mnist images": ("mnist.npz", mnist.images),
    "imdb": ("imdb.npz", imdb.task),
    "reuters": ("reuters.npz", reuters.task),
    "boston": ("boston_housing.npz", boston.task),
    "wine": ("winequality-white.csv", wine.task),
    "seizure": ("epileptic_seizure.npz", seizure.task),
}
MARK = "HPSEARCH_ATTACK_MARK"  # names the file that code in a pickle would write


class _Bomb:
    """An object whose pickle runs code."""

    def __reduce__(self) -> Any:
        return (os.system, (f"touch ${MARK}",))


def _sound(path: Path) -> dict[str, Array]:
    """The arrays of a file as it should be, but for few rows."""
    rng = np.random.default_rng(0)
    y, images = rng.integers(0, 2, 60), rng.integers(0, 255, (60, 28, 28), dtype=np.uint8)
    words = {"values": rng.integers(1, 50, 300), "offsets": np.arange(61) * 5}
    if path.name == "imdb.npz":
        parts = {
            f"x_{part}_{name}": array for part in ("train", "test") for name, array in words.items()
        }
        return {"y_train": y, "y_test": y, **parts}
    if path.name == "reuters.npz":
        return {"y": y, **{f"x_{name}": array for name, array in words.items()}}
    if path.name == "mnist.npz":
        return {"x_train": images, "y_train": y, "x_test": images, "y_test": y}
    return {"x": rng.normal(size=(60, 13)), "y": y, "record": np.arange(60) // 5}


def _npz(arrays: dict[str, Any], path: Path, allow_pickle: bool = False) -> None:
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=allow_pickle, **arrays)


def _all(array: Any, path: Path, allow_pickle: bool = False) -> None:
    """The same array under every name."""
    _npz(dict.fromkeys(_sound(path), array), path, allow_pickle)


def _changed(arrays: dict[str, Any], path: Path) -> None:
    """A sound file, but for these of its arrays."""
    sound = _sound(path)
    _npz({**sound, **{name: array for name, array in arrays.items() if name in sound}}, path)


def _header(text: bytes, path: Path) -> None:
    """An array whose header says something, without anything after it."""
    header = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(path, "w") as archive:
        for name in _sound(path):
            archive.writestr(f"{name}.npy", header)


def _bomb(path: Path) -> None:
    """A gigabyte of zeros that says it is one array, in a megabyte."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (8 * 10**9,)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _sound(path):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(head.getvalue())
                for _ in range(64):
                    file.write(bytes(2**20))


def _damaged(how: str, seed: int, path: Path) -> None:
    """A sound archive, cut short or with flipped bits."""
    _npz(_sound(path), path)
    content, rng = bytearray(path.read_bytes()), random.Random(seed)
    if how == "cut":
        del content[rng.randrange(len(content)) :]
    else:
        for _ in range(1 if how == "a bit" else 200):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def _text(content: str | bytes, path: Path) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _wine(line: str, path: Path, rows: int = 4898) -> None:
    path.write_text(f"{wine._HEADER}\n" + f"{line}\n" * rows)


_OBJECTS = np.array([_Bomb(), None], dtype=object)
HOSTILE: dict[str, things.Maker] = {
    **{name: make for name, make in things.ODD.items() if "store" not in name and name != "an unreadable file"},
    "objects that run code": partial(_all, _OBJECTS, allow_pickle=True),
    "a pickle": partial(_text, b"cos\nsystem\n(S'touch $HPSEARCH_ATTACK_MARK'\ntR."),
    "an archive of nothing": partial(_npz, {}),
    "other arrays": partial(_npz, {"a": np.arange(3)}),
    "arrays of text": partial(_all, np.array(["a", "b"] * 30)),
    "arrays of dates": partial(_all, np.array(["2024-01-01"] * 60, dtype="datetime64[D]")),
    "arrays of bytes": partial(_all, np.array([b"a"] * 60)),
    "complex arrays": partial(_all, np.full((60, 28, 28), 1j)),
    "structured arrays": partial(_all, np.zeros(60, dtype=[("a", "i4"), ("b", "f8")])),
    "arrays of NaN": partial(_all, np.full((60, 28), np.nan)),
    "arrays of infinity": partial(_all, np.full((60, 28), np.inf)),
    "negative arrays": partial(_all, np.full((60, 28), -7)),
    "empty arrays": partial(_all, np.zeros((0, 28))),
    "arrays without columns": partial(_all, np.zeros((60, 0))),
    "single numbers": partial(_all, np.array(5)),
    "one row": partial(_all, np.ones((1, 28, 28))),
    "arrays of 5 dimensions": partial(_all, np.ones((60, 2, 2, 2, 2))),
    "big-endian arrays": partial(_all, np.ones((60, 28, 28), dtype=">f8")),
    "targets of another length": partial(_changed, {"y_train": np.arange(7), "y": np.arange(7)}),
    "classes of 10**12": partial(_changed, {"y_train": np.full(60, 10**12), "y": np.full(60, 10**12)}),
    "documents of 10**12 words": partial(_changed, dict.fromkeys(("x_offsets", "x_train_offsets"), np.array([0, 10**12]))),
    "documents that go back": partial(_changed, dict.fromkeys(("x_offsets", "x_train_offsets"), np.array([0, 300, 5, 300]))),
    "words of -5": partial(_changed, dict.fromkeys(("x_values", "x_train_values"), np.full(300, -5))),
    "words of 2**40": partial(_changed, dict.fromkeys(("x_values", "x_train_values"), np.full(300, 2**40))),
    "a header that is code": partial(_header, b"__import__('os').system('touch $HPSEARCH_ATTACK_MARK')\n"),
    "a header of nonsense": partial(_header, b"{'descr': 'zz', 'fortran_order': 5, 'shape': 'x'}\n"),
    "a header of objects": partial(_header, b"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}\n"),
    "a header of 8 EB": partial(_header, b"{'descr': '<f8', 'fortran_order': False, 'shape': (10**18,)}\n"),
    "a header of 10**18 rows": partial(_header, b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000000,)}\n"),
    "a header of negative rows": partial(_header, b"{'descr': '<f8', 'fortran_order': False, 'shape': (-5,)}\n"),
    "a header of deep brackets": partial(_header, b"(" * 9000 + b"\n"),
    "an archive that unpacks to 64 GB": _bomb,
    "a table of letters": partial(_wine, ";".join(["x"] * 12)),
    "a table of NaN": partial(_wine, ";".join(["nan"] * 12)),
    "a table of infinity": partial(_wine, ";".join(["inf"] * 12)),
    "a table of 10**400": partial(_wine, ";".join(["1" + "0" * 400] * 12)),
    "a table of one value": partial(_wine, ";".join(["1"] * 12)),
    "a table with a NUL": partial(_wine, ";".join(["1\0"] * 12)),
    "a table of too few rows": partial(_wine, ";".join(["1"] * 12), rows=3),
    "a table of ragged rows": partial(_text, f"{wine._HEADER}\n1;2\n1;2;3\n"),
    "a header alone": partial(_text, wine._HEADER),
    "another header": partial(_text, "a,b\n1,2\n"),
    "a line of 30 MB": partial(_text, "1;" * 15_000_000),
    "Latin-1": partial(_text, "säure\n1\n".encode("latin-1")),
    **{f"an archive cut at {seed}": partial(_damaged, "cut", seed) for seed in range(20)},
    **{f"an archive with flipped bit {seed}": partial(_damaged, "a bit", seed) for seed in range(40)},
    **{f"an archive with 200 flipped bits, {seed}": partial(_damaged, "bits", seed) for seed in range(20)},
}  # fmt: skip


def cases() -> Iterator[tuple[str, str, Callable[[], Task], things.Maker]]:
    for task, (file, make) in TASKS.items():
        for name, hostile in HOSTILE.items():
            yield f"{task} of {name}", file, make, hostile


def _prepare(task: Task) -> None:
    """Load the data, and prepare it as a training does."""
    data = task.load()
    uses.all_of_data(data)
    (split,) = Holdout().splits(task, data, seed=0)
    prepare_rows(task, data, split)


def _attempt(file: str, make: Callable[[], Task], hostile: things.Maker) -> tuple[str, str]:
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    environment = {"HPSEARCH_DATA": str(folder), "KERAS_HOME": str(folder / "keras"), MARK: str(folder / "mark"),
                   "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}  # fmt: skip
    try:
        with patch.dict(os.environ, environment):
            hostile(folder / file)
            verdict, seen = judge_call(make, _prepare)
        if (folder / "mark").exists():
            return "destroyed", f"code of the file was run: {seen}"
        return verdict, seen
    finally:
        shutil.rmtree(folder)


def attack_files(sample: int | None, seed: int) -> Figures:
    figures = Figures("files")
    for name, *case in show_progress("hostile data", draw(list(cases()), sample, seed)):
        verdict, seen = _attempt(*case)
        figures.add(verdict, name, seen)
    return figures


ATTACKS = {"files": attack_files}
