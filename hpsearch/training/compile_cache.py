"""Let JAX keep compiled programs, so that later folds and runs need not compile them again.

They are machine code that runs as it is. So the folder is the user's own, and no other user may
write to it. It is never beside a store, which may come from somebody else.
"""

import importlib
import logging
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_MAX_PROGRAMS = 10_000  # files of some 30 kB
_SECONDS_TO_CHECK = 0.5
_CHECK_ALL_AGAIN = 24 * 3600.0  # seconds
_MARK = "checked"  # a file that says which programs have been checked
_PROGRAM, _LAST_USE = "-cache", "-atime"  # ends of JAX's file names; other files are no programs
_ZSTD_BEGINS = b"\x28\xb5\x2f\xfd"


def use() -> None:
    """Let JAX keep its programs in the user's cache folder, unless JAX's own settings say else."""
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    if {"JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"} & set(os.environ):
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpsearch"
    folder = home / "jax"
    if why := _make_private(home) or _make_private(folder):
        log.warning("compiled programs are not kept, so that every run compiles anew: %s", why)
        os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # workers need not warn again
        return
    tidy(folder)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)


def _make_private(folder: Path) -> str | None:
    """Make a folder that only the user may read or write; returns why not, if it is not safe."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if not hasattr(os, "getuid"):
            return None  # Windows: a user's folders are the user's own
        if found.st_uid != os.getuid():
            return f"{folder} belongs to another user; remove it, or set XDG_CACHE_HOME"
        if stat.S_IMODE(found.st_mode) & 0o022:
            mode = stat.S_IMODE(found.st_mode)
            return f"others may write to {folder} (mode {mode:04o}); remove it with all it holds"
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        return f"{folder} cannot be used ({error.strerror or error}); set XDG_CACHE_HOME"
    return None


def tidy(folder: Path, seconds: float = _SECONDS_TO_CHECK) -> None:
    """Delete the oldest programs beyond a maximum, and those whose files are torn.

    JAX warns of a torn file each time it meets it, and never writes it anew. New files are checked
    each time, and all files once a day. Environments with different compression libraries share the
    folder: a file that this one cannot decompress is left alone.

    Args:
        folder: the cache.
        seconds: stop checking after this time.
    """
    entries = _list_by_age(folder)
    for _, file in entries[:-_MAX_PROGRAMS]:
        _delete(file)
    checked_until, round_start = _read_mark(folder / _MARK)
    last = checked_until
    decompress_zstd, end = _zstd_decompressor(), time.monotonic() + seconds
    for written, file in entries[-_MAX_PROGRAMS:]:
        if written < checked_until:  # "<": another file may have the same time
            continue
        if time.monotonic() > end:
            break
        with suppress(OSError):  # another run may delete it
            if _is_torn(file.read_bytes(), decompress_zstd):
                _delete(file)
        last = written
    with suppress(OSError):
        (folder / _MARK).write_text(f"{last} {round_start}")


def _is_torn(content: bytes, decompress_zstd: Callable[[bytes], object] | None) -> bool:
    decompress = decompress_zstd if content.startswith(_ZSTD_BEGINS) else zlib.decompress
    if decompress is None:
        return False
    try:
        decompress(content)
    except Exception:  # each library raises its own
        return True
    return False


def _delete(program: Path) -> None:
    """Delete a program, and the file beside it in which JAX notes its last use."""
    last_use = program.with_name(program.name.removesuffix(_PROGRAM) + _LAST_USE)
    for file in (program, last_use):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _list_by_age(folder: Path) -> list[tuple[float, Path]]:
    """JAX's programs with the time they were written, the oldest first."""

    def found() -> Iterator[tuple[float, Path]]:
        for file in folder.iterdir():
            with suppress(OSError):
                if file.name.endswith(_PROGRAM):
                    yield file.stat().st_mtime, file

    try:
        return sorted(found())
    except OSError:
        return []


def _read_mark(mark: Path) -> tuple[float, float]:
    """When the last checked program was written, and when this round of checks started."""
    try:
        last, round_start = map(float, mark.read_text().split())
    except (OSError, ValueError):
        return 0.0, time.time()
    if not 0 <= time.time() - round_start < _CHECK_ALL_AGAIN:
        return 0.0, time.time()
    return last, round_start


def _zstd_decompressor() -> Callable[[bytes], object] | None:
    """The zstd decompressor that JAX uses: the first of these that is installed."""
    with suppress(ImportError):
        found: Callable[[bytes], object] = importlib.import_module("compression.zstd").decompress
        return found
    with suppress(ImportError):
        zstandard = importlib.import_module("zstandard")
        return lambda content: zstandard.ZstdDecompressor().decompress(content)
    return None
