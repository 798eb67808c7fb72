"""Well-formed files in a checkpoint's place that hold something else."""

import io
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def arrays_of(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content)) as file:
        return {name: file[name] for name in file.files}


def forge(path: Path, dice: random.Random, arrays: dict[str, Any]) -> None:
    """A well-formed file of other arrays."""
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def another_value(path: Path, dice: random.Random) -> None:
    arrays = arrays_of(path.read_bytes())
    name = dice.choice([name for name in arrays if name.startswith("variable_")])
    arrays[name] = np.asarray(arrays[name] + np.ones((), arrays[name].dtype))
    forge(path, dice, arrays)


def another_type(path: Path, dice: random.Random) -> None:
    arrays = arrays_of(path.read_bytes())
    name = dice.choice(list(arrays))
    arrays[name] = arrays[name].astype(dice.choice(("float64", ">f4", "float16", "U9", "c8", "?")))
    forge(path, dice, arrays)


def an_array_less(path: Path, dice: random.Random) -> None:
    arrays = arrays_of(path.read_bytes())
    arrays.pop(dice.choice(list(arrays)))
    forge(path, dice, arrays)


def an_array_more(path: Path, dice: random.Random) -> None:
    arrays = arrays_of(path.read_bytes())
    forge(path, dice, arrays | {f"variable_{len(arrays) - 1}": np.zeros(3, "float32")})


def names_swapped(path: Path, dice: random.Random) -> None:
    arrays = arrays_of(path.read_bytes())
    first, second = dice.sample(list(arrays), 2)
    forge(path, dice, arrays | {first: arrays[second], second: arrays[first]})


def pickled(path: Path, dice: random.Random) -> None:
    """Objects, which only a pickle can hold; loading them would run what they name."""
    arrays = arrays_of(path.read_bytes())
    arrays[dice.choice(list(arrays))] = np.array([print, {"a": 1}], dtype=object)
    forge(path, dice, arrays)


def a_pickle(path: Path, dice: random.Random) -> None:
    path.write_bytes(pickle.dumps(arrays_of(path.read_bytes())))


def other_curves(path: Path, dice: random.Random) -> None:
    arrays = arrays_of(path.read_bytes())
    text = dice.choice(
        ("[" * 100_000, "{}", "[1, 2]", "null", "NaN", '{"validation": [NaN]}', "1e999", "\ud800")
    )
    curve = np.frombuffer(text.encode(errors="surrogatepass"), dtype=np.uint8)
    forge(path, dice, arrays | {"history": curve})


def huge_headers(path: Path, dice: random.Random) -> None:
    """An array whose header promises 100 GB."""
    header = io.BytesIO()
    shape = (25_000_000_000 + dice.randrange(1000),)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"variable_{dice.randrange(40, 50)}.npy", header.getvalue())


def a_bomb(path: Path, dice: random.Random) -> None:
    """A few kilobytes that unpack into 2 GB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("variable_0.npy", "w", force_zip64=True) as entry:
            for _ in range(2000):
                entry.write(bytes(2**20))


FORGERIES: dict[str, Callable[[Path, random.Random], None]] = {
    "another value": another_value,
    "another type": another_type,
    "an array less": an_array_less,
    "an array more": an_array_more,
    "names swapped": names_swapped,
    "pickled objects": pickled,
    "a pickle": a_pickle,
    "other curves": other_curves,
    "huge headers": huge_headers,
}
