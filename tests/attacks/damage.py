"""What disks, copies and accidents do to a file's bytes, and what may stand in its place."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path


def flip_a_bit(content: bytes, dice: random.Random) -> bytes:
    place, changed = dice.randrange(len(content)), bytearray(content)
    changed[place] ^= 1 << dice.randrange(8)
    return bytes(changed)


def change_bytes(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 40)):
        changed[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(changed)


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def extend(content: bytes, dice: random.Random) -> bytes:
    return content + dice.randbytes(dice.randint(1, 5000))


def zero_a_range(content: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(content))
    length = min(dice.choice((8, 64, 512, 4096)), len(content) - place)
    return content[:place] + bytes(length) + content[place + length :]


def repeat_a_range(content: bytes, dice: random.Random) -> bytes:
    """A block that was written to the wrong place."""
    length = min(dice.choice((16, 512, 4096)), len(content))
    source, place = (dice.randrange(len(content) - length + 1) for _ in range(2))
    return content[:place] + content[source : source + length] + content[place + length :]


def rotate(content: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(content))
    return content[place:] + content[:place]


def flip_in(start: int, end: int) -> Callable[[bytes, random.Random], bytes]:
    """Flips of a bit between two offsets; negative ones count from the end."""

    def flip_in_a_part(content: bytes, dice: random.Random) -> bytes:
        part = content[slice(start, end or None)]
        return content.replace(part, flip_a_bit(part, dice), 1) if part else b""

    return flip_in_a_part


BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a bit flipped": flip_a_bit,
    "bytes changed": change_bytes,
    "cut": cut,
    "extended": extend,
    "a range of zeros": zero_a_range,
    "a range twice": repeat_a_range,
    "rotated": rotate,
}


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("x")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def empty(path: Path) -> None:
    path.touch()


def sparse_terabyte(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2**40)


def text(path: Path) -> None:
    path.write_text("this is no such file\n" * 100)


PLACES: dict[str, Callable[[Path], None]] = {
    "a folder": folder,
    "a pipe": pipe,
    "a link to itself": link_to_itself,
    "a link to nothing": link_to_nothing,
    "a link to /dev/zero": link_to_zeros,
    "nothing in it": empty,
    "a terabyte of holes": sparse_terabyte,
    "text": text,
}


def put(path: Path, what: Callable[[Path], None] | bytes) -> None:
    """Replace whatever stands there by these bytes, or by what a function of PLACES makes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        what(path)
