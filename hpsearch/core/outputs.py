"""Where outputs may be written, and how: whole or not at all, and never over anybody's own files.

Each command that writes calls `choose_place` first, before it computes anything.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch.core.errors import OutputError
from hpsearch.core.files import read_regular_file, remove_folder, temporary_beside, write_whole

STORE_MARK = b"hpse"  # the application id in the header of a store's SQLite file
MODEL_INDEX = "model.json"  # a folder of kept models has this file
_SIDE_FILES = ("-wal", "-shm", "-journal")  # endings of files beside a SQLite file
_WAL_MARKS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_LARGEST_INDEX = 10_000_000  # bytes
_OPEN_DESCRIPTOR = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/(\w|-)+(/task/\d+)?/fd/\d+")


@dataclass(frozen=True, slots=True)
class OutputKind:
    """A kind of output that a command writes.

    Args:
        noun: its name in messages, with an article.
        is_earlier: whether a file or folder is an earlier output of this kind. Only such a one, or
            an empty one, is ever replaced.
        is_folder: whether the output is a folder.
        streams: whether it may be written into a pipe or a device, such as /dev/stdout.
        makes_folders: whether missing folders above it are made.
    """

    noun: str
    is_earlier: Callable[[Path], bool]
    is_folder: bool = False
    streams: bool = False
    makes_folders: bool = False


def choose_place(
    path: Path, kind: OutputKind, *, replace: bool = True, sources: Sequence[Path] = ()
) -> Path:
    """The path to write an output to that a user wants at `path`: the same without symbolic links.

    Args:
        replace: whether an earlier output may be replaced.
        sources: the files that the output is made from.

    Raises OutputError where anything else would be overwritten, or nothing can be written.
    """
    option = "a folder" if kind.is_folder else "a file"
    try:
        place = _resolve_links(path, kind)
        reason = _why_not_writable(place, kind, replace=replace, sources=sources)
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a loop of links
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path} cannot be written: {reason}; name {option} by -o") from error
    if reason:
        way_out = "name another by -o" + (", or add --force" if reason == _THERE else "")
        raise OutputError(f"{path} {reason}; {way_out}")
    return place


_THERE = "exists already"
_A_STORE = "is a store of searches"


def _resolve_links(path: Path, kind: OutputKind) -> Path:
    """The path without symbolic links. Those of pipes, devices and /dev/stdout keep them."""
    return path.absolute() if kind.streams and is_stream(path) else path.resolve()


def is_stream(path: Path) -> bool:
    """Whether an output is written into what is there, instead of replacing it."""
    try:
        mode = path.stat().st_mode  # raises for a name that is too long
    except FileNotFoundError:
        return False
    # Other files below /dev, such as those in /dev/shm, are ordinary files.
    is_open = _OPEN_DESCRIPTOR.fullmatch(str(path.absolute())) is not None
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or (is_open and stat.S_ISREG(mode))


def _why_not_writable(
    place: Path, kind: OutputKind, *, replace: bool, sources: Sequence[Path]
) -> str | None:
    """Why nothing may be written there; None where it may."""
    if kind.streams and is_stream(place):
        return _A_STORE if place.is_file() and is_store(place) else None
    for folder in (place, *place.parents):
        if is_kept_model(folder) and not (folder == place and kind.is_folder):
            where = "is" if folder == place else f"lies in {folder},"
            return f"{where} a folder of kept models, which is not overwritten"
    if reason := _why_store_place(place):
        return reason
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        if place.parent.is_dir():
            return None
        if not kind.makes_folders:
            return f"cannot be written: there is no folder {place.parent}"
        _check_names(place)
        return None
    if any(source.exists() and place.samefile(source) for source in sources):
        return "is one of the files that it is made from"
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return "is neither a file nor a folder"
    if stat.S_ISDIR(mode) != kind.is_folder:
        return "is a file, and a folder is written" if kind.is_folder else "is a folder"
    if kind.is_folder and Path.cwd().is_relative_to(place):
        return "is the current folder, or contains it"
    if _is_empty(place):
        return None
    if not kind.is_earlier(place):
        return f"exists and is not {kind.noun}, so it is not overwritten"
    return None if replace else _THERE


def _check_names(place: Path) -> None:
    """Raise OSError where a name in this path is longer than the file system allows.

    Otherwise the error would come only after some of the missing folders were made.
    """
    there = next(folder for folder in place.parents if folder.is_dir())
    for name in place.relative_to(there).parts:
        with suppress(FileNotFoundError):
            (there / name).lstat()


def _why_store_place(place: Path) -> str | None:
    """Why a place belongs to a store; None where it does not.

    A side file of a store counts also while it does not exist.
    """
    if is_store(place):
        return _A_STORE
    for ending in _SIDE_FILES:
        if place.name.endswith(ending):
            base = place.with_name(place.name.removesuffix(ending))
            if is_store(base) or _first_bytes(place, 4) in _WAL_MARKS:
                return f"belongs to the store {base}"
    if place.parent.name == "locks":
        for other in place.parent.parent.glob("*"):
            if is_store(other):
                return f"is beside the locks of the store {other}"
    return None


def is_store(path: Path) -> bool:
    """Whether a file is a store of searches, by its header."""
    return sqlite_mark(path) == STORE_MARK


def sqlite_mark(path: Path) -> bytes | None:
    """The application id in the header of a SQLite file, four bytes; None for any other file."""
    header = _first_bytes(path, 72)
    return header[68:72] if header.startswith(b"SQLite format 3\0") else None


def is_kept_model(folder: Path) -> bool:
    """Whether a folder holds models that `refit` kept."""
    try:
        index = json.loads(read_regular_file(folder / MODEL_INDEX, _LARGEST_INDEX))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(index, dict) and {"weights", "inputs"} <= index.keys()


def files_in(folder: Path) -> list[str] | None:
    """The regular files in a folder and below, as paths relative to it.

    None where there is anything else, such as a link.
    """
    found = []
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            found.append(path.relative_to(folder).as_posix())
        elif not stat.S_ISDIR(mode):
            return None
    return found


def _is_standard_output(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except OSError:  # it may be closed
        return False


def _is_empty(path: Path) -> bool:
    return next(path.iterdir(), None) is None if path.is_dir() else path.stat().st_size == 0


def _first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a regular file; empty for anything else."""
    try:
        return read_regular_file(path, count, cut=True)
    except (OSError, ValueError):
        return b""


def write_output(place: Path, content: str | bytes, kind: OutputKind) -> None:
    """Write a file to a place that `choose_place` returned. Raises OutputError.

    Into a pipe or a device it writes as much as is read there.
    """
    try:
        if kind.streams and is_stream(place):
            data = content.encode() if isinstance(content, str) else content
            # The file behind /dev/stdout may have other content, before and after this.
            own = _is_standard_output(place)
            with open(1 if own else place, "ab", closefd=not own) as stream:
                stream.write(data)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, content)
    except BrokenPipeError:
        pass  # the reader has enough
    except OSError as error:
        raise OutputError(
            f"{place} cannot be written: {error.strerror or error}; name another by -o"
        ) from error


@contextmanager
def whole_output(place: Path, kind: OutputKind, *, replace: bool = True) -> Iterator[Path]:
    """A path to write to, which becomes `place` when the block ends without an error.

    An earlier output stays until the new one is whole. A kill between the two renames leaves both,
    hidden beside the place. Raises OutputError.
    """
    partial = temporary_beside(place)
    try:
        yield partial
        choose_place(place, kind, replace=replace)  # again: something may be there by now
        if not partial.is_dir() or not place.exists():
            os.replace(partial, place)
            return
        old = temporary_beside(place)
        os.rename(place, old)
        try:
            os.rename(partial, place)
        except OSError:
            os.rename(old, place)
            raise
        remove_folder(old)
    except OSError as error:
        raise OutputError(
            f"{place} cannot be written: {error.strerror or error}; name another by -o"
        ) from error
    finally:
        if partial.is_dir():
            remove_folder(partial)
        else:
            partial.unlink(missing_ok=True)
