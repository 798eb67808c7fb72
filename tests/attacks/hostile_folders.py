"""Folders of pictures and texts, Parquet and HDF5 files, that are damaged, forged or something else.

Their rows are read in this process, with a limit of time and memory.
"""

import atexit
import contextlib
import io
import os
import random
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import Data, ImageFolder, ParquetRows, TextFolder
from hpsearch.core.arrays import inputs_by_name
from hpsearch.core.errors import HpsearchError
from tests.attacks import things, uses
from tests.attacks.commands import snapshot, throw_away
from tests.attacks.damage import BYTES
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.guard import NotUsable, judge_call

FILES = 12  # of a folder of classes, or rows of a file
DAMAGES = 8  # of each kind, of each file
Y = np.arange(FILES) % 2


@dataclass(frozen=True)
class Kind:
    """What holds rows: how it is written as it should be, opened, and which file is struck."""

    write: Callable[[Path], None]
    open: Callable[[Path], Any]
    struck: str


def _write_classes(folder: Path, suffix: str, content: Callable[[int], bytes]) -> None:
    for row in range(FILES):
        path = folder / "rows" / "ab"[row % 2] / f"{row:02}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(row))


def _picture(row: int) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(row).integers(0, 255, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def _write_parquet(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"a": np.arange(FILES) / 7, "b": np.arange(FILES), "y": Y}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=4)


def _write_hdf5(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "rows.h5", "w") as file:
        # So large that it is not read into memory at once; all but the first rows are a hole.
        rows = file.create_dataset("x", (FILES, 2**20), "f4", chunks=(1, 2**20))
        rows[:2] = np.arange(2**20)


def _open_hdf5(folder: Path) -> Any:
    import h5py

    try:
        rows = h5py.File(folder / "rows.h5", "r")["x"]
    except Exception as error:  # is h5py's to tell
        raise HpsearchError(f"h5py refuses it: {type(error).__name__}") from error
    return Data(rows, Y)


KINDS = {
    "ImageFolder": Kind(
        lambda folder: _write_classes(folder, ".png", _picture),
        lambda folder: Data(ImageFolder(folder / "rows", size=8)),
        "rows/a/04.png",
    ),
    "TextFolder": Kind(
        lambda folder: _write_classes(folder, ".txt", lambda row: f"text {row}\n".encode() * 20),
        lambda folder: Data(TextFolder(folder / "rows")),
        "rows/a/04.txt",
    ),
    "ParquetRows": Kind(
        _write_parquet,
        lambda folder: Data(ParquetRows(folder / "rows.parquet", target="y")),
        "rows.parquet",
    ),
    "HDF5": Kind(_write_hdf5, _open_hdf5, "rows.h5"),
}


@cache
def good_files() -> Path:
    """A folder in which each kind, in a folder of its name, is as it should be."""
    whole = tempfile.TemporaryDirectory(prefix="good-")
    atexit.register(whole.cleanup)
    for name, kind in KINDS.items():
        folder = Path(whole.name) / name
        folder.mkdir()
        kind.write(folder)
    return Path(whole.name)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _png(width: int, height: int, pixels: bytes, *others: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    found = b"\x89PNG\r\n\x1a\n" + header + b"".join(others)
    return found + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _bomb(side: int) -> bytes:
    """A picture of kilobytes that becomes gigabytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return _png(side, side, pixels)


def _several(name: str, **options: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    first = Image.new(options.pop("mode", "RGB"), options.pop("size", (8, 8)))
    first.save(file, name, **options)
    return file.getvalue()


PICTURES: dict[str, Callable[[], bytes]] = {
    "a bomb of 12,000 x 12,000": lambda: _bomb(12_000),
    "a bomb of 20,000 x 20,000": lambda: _bomb(20_000),
    "2**31 - 1 pixels a side": lambda: _png(2**31 - 1, 2**31 - 1, zlib.compress(b"\0" * 99)),
    "no pixels a side": lambda: _png(0, 0, zlib.compress(b"")),
    "no pixels": lambda: _png(8, 8, b""),
    "too few pixels": lambda: _png(8, 8, zlib.compress(b"\0" * 25)),
    "a text of a gigabyte": lambda: _png(
        8, 8, zlib.compress(bytes(8 * 25)), _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**30)))
    ),
    "a profile of a gigabyte": lambda: _png(
        8, 8, zlib.compress(bytes(8 * 25)), _chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(2**30)))
    ),
    "a GIF": lambda: _several("gif"),
    "16 bits a channel": lambda: _several("png", mode="I;16"),
    "floats": lambda: _several("tiff", mode="F"),
    "colours of print": lambda: _several("jpeg", mode="CMYK"),
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


def _write(content: bytes, path: Path) -> None:
    path.unlink()
    path.write_bytes(content)


def _replace(make: Callable[[Path], Any], path: Path) -> None:
    path.unlink()
    make(path)


def _sparse_file(size: int, path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def _beside(name: str, make: Callable[[Path], Any], path: Path) -> None:
    make(path.parent / name)


def _above(name: str, make: Callable[[Path], Any], path: Path) -> None:
    make(path.parent.parent / name)


def _link(to: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def _name(suffix: str) -> Iterator[tuple[str, str]]:
    yield "a newline", f"a\nb{suffix}"
    yield "escape codes", f"\x1b[2J{suffix}"
    yield "undecodable bytes", os.fsdecode(b"\xff\xfe") + suffix
    yield "250 letters", "x" * (250 - len(suffix)) + suffix


def _strikes(kind: str) -> Iterator[tuple[str, Callable[[Path], Any]]]:
    """What happens to a kind's file, by name; each is a function of the file's path."""
    dice = random.Random(kind)
    for what, damage in BYTES.items():
        for number in range(DAMAGES):
            own = random.Random(dice.random())

            def act(path: Path, damage: Any = damage, own: random.Random = own) -> None:
                path.write_bytes(damage(path.read_bytes(), own))

            yield f"{what} ({number})", act
    for what, make in {**things.ODD, "/dev/zero": _link("/dev/zero")}.items():
        if what not in ("half a store", "an unreadable file"):
            yield f"{what} in its place", partial(_replace, make)
    yield "it is gone", Path.unlink
    yield "1 TB of nothing behind it", partial(_sparse_file, 2**40)
    if kind == "ImageFolder":
        for what, content in PICTURES.items():
            yield what, lambda path, content=content: _write(content(), path)
    if kind.endswith("Folder"):
        suffix = ".png" if kind == "ImageFolder" else ".txt"
        content = _picture(0) if kind == "ImageFolder" else b"text"
        for what, name in _name(suffix):
            yield f"a file named by {what}", partial(_beside, name, partial(_put, content))
            yield (
                f"a class named by {what}",
                partial(_above, name, partial(_put_class, suffix, content)),
            )
        for what, to in {
            "itself": "loop",
            "its folder": ".",
            "the folder above": "..",
            "/": "/",
        }.items():
            yield f"a link to {what} in a class", partial(_beside, "loop", _link(to))
            yield f"a class that is a link to {what}", partial(_above, "loop", _link(to))
        for what, make in things.ODD.items():
            if what not in ("half a store",):
                yield f"{what} beside the classes", partial(_above, "other", make)
        yield "an empty class", partial(_above, "empty", Path.mkdir)


def _put(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _put_class(suffix: str, content: bytes, path: Path) -> None:
    path.mkdir()
    (path / f"1{suffix}").write_bytes(content)


def _read(data: Data) -> None:
    """All rows are read, one by one and together."""
    uses.all_of_data(data)
    for name, rows in inputs_by_name(data.x).items():
        whole = rows[np.arange(len(rows))]
        for row in range(len(rows)):
            if rows[np.array([row])].tobytes() != whole[row : row + 1].tobytes():
                if whole.dtype != object:
                    raise NotUsable(f"row {row} of {name} differs by what is read beside it")


def _attempt(kind: Kind, strike: Callable[[Path], Any], when: str) -> tuple[str, str]:
    """The verdict on a strike, before the rows are opened or after it."""
    with throw_away() as folder, contextlib.chdir(folder):
        kind.write(folder)
        struck = folder / kind.struck
        opened = kind.open(folder) if when == "after" else None
        strike(struck)
        before = snapshot(folder)
        verdict, detail = judge_call(lambda: opened or kind.open(folder), _read)
        if snapshot(folder) != before:
            return "destroyed", detail
        return verdict, detail


def cases() -> Iterator[tuple[str, Callable[[], tuple[str, str]]]]:
    for name, kind in KINDS.items():
        for what, strike in _strikes(name):
            if name == "HDF5" and ("FIFO" in what or "dev" in what):
                continue  # h5py opens it, for the user, and waits
            yield f"{name}: {what}", partial(_attempt, kind, strike, "before")
            if what.endswith("in its place") or what == "it is gone":
                yield f"{name}, opened: {what}", partial(_attempt, kind, strike, "after")


def attack_folders(sample: int | None, seed: int) -> Figures:
    import h5py  # noqa: F401  before there are limits of memory
    import PIL.Image  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    figures = Figures("folders")
    for name, attempt in show_progress("folders", draw(list(cases()), sample, seed)):
        verdict, detail = attempt()
        figures.add(verdict, name, detail)
    return figures


ATTACKS = {"folders": attack_folders}
