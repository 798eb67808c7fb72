"""Files that are written whole or not at all, and folders on disk or at a URL."""

import functools
import os
import re
import shutil
import stat
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from hpsearch.core.errors import StoreError, first_line

_FRESH_SECONDS = 3600.0  # after which a mark is written again


def folder_at(text: str) -> Path:
    """The folder at a path on disk, or at a URL (s3://bucket/folder, file:///mnt/all).

    A folder at a URL is used like a Path, by fsspec. Raises StoreError where it cannot be reached,
    or where a package for such URLs is missing.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath

        folder = UPath(text, use_listings_cache=False)
        folder.exists()  # loads the package for such a URL: an error comes now, not later
    except ImportError as error:
        raise StoreError(
            f"{hide_secrets(text)}: {error}; pip install 'hpsearch[ray]', and what fsspec needs "
            "for such a URL"
        ) from error
    except Exception as error:  # whatever the package for such URLs raises
        lines = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(hide_secrets(f"{text} cannot be reached: {lines}")) from error
    return cast(Path, folder)


def format_bytes(size: int) -> str:
    """Bytes as people read them.

    >>> format_bytes(950), format_bytes(1_234_567), format_bytes(5_000_000_000)
    ('950 bytes', '1.2 MB', '5.0 GB')
    """
    for least, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size} bytes"


def hide_secrets(text: object) -> str:
    """A text without the user names, passwords and tokens in its URLs.

    >>> hide_secrets("sftp://me:secret@host/folder cannot be reached")
    'sftp://host/folder cannot be reached'
    >>> hide_secrets("http://me:a/b@c@host:80/?token=abc&x=1")
    'http://host:80/?token=***&x=1'
    """
    # A password with a / is not allowed in a URL. It is hidden all the same.
    without_names = re.sub(r"://(?:[^/\s]*:\S*@|[^/\s]*@)", "://", str(text))
    return re.sub(
        r"([?&][^=&\s]*(?:password|pwd|token|secret|key)[^=&\s]*=)[^&\s]+",
        r"\1***",
        without_names,
        flags=re.IGNORECASE,
    )


@contextmanager
def leave_mark(folder: Path) -> Iterator[Path]:
    """A file in a folder, for the time of the block: workers that find it see the same folder.

    It is written again every hour, so that nobody takes it for one that was left behind.

    Raises StoreError where it cannot be written.
    """
    mark = folder / f"seen-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_bytes(b"here")
    except Exception as error:  # whatever the package for such URLs raises
        raise StoreError(
            hide_secrets(f"{folder} cannot be written: {first_line(error)}")
        ) from error
    is_over = threading.Event()
    threading.Thread(target=_keep_fresh, args=(mark, is_over), daemon=True).start()
    try:
        yield mark
    finally:
        is_over.set()
        with suppress(Exception):
            mark.unlink()
            if is_local(folder):
                folder.rmdir()  # if it is still empty


def _keep_fresh(mark: Path, is_over: threading.Event) -> None:
    while not is_over.wait(_FRESH_SECONDS):
        with suppress(Exception):  # the network may be away for a while
            mark.write_bytes(b"here")


def is_local(folder: Path) -> bool:
    return isinstance(folder, Path)


def remove_folder(folder: Path, *, wait: bool = True) -> None:
    """Delete a folder and all that is in it, if possible.

    Args:
        wait: whether to wait until a folder at a URL is deleted.
    """
    if is_local(folder):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        removing = _removal_threads().submit(_remove_remote_folder, folder)
        if wait:
            removing.result()


@functools.cache
def _removal_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(8, "hpsearch-remove")


def _remove_remote_folder(folder: Path) -> None:
    with suppress(Exception):
        folder.rmdir(recursive=True)  # type: ignore[call-arg]


def temporary_beside(path: Path) -> Path:
    """A new, unique path in the same folder, for a file that will be renamed to `path`."""
    return path.with_name(f".hpsearch-{uuid.uuid4().hex[:16]}.partial")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all. Raises OSError where that is not possible."""
    partial = temporary_beside(path)
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def open_regular_file(path: Path) -> BinaryIO:
    """Open a regular file to read.

    Raises OSError for anything else: reading a pipe might wait forever, and a device has no end.
    """
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(f"{path} is no regular file")
    return open(opened, "rb")


def check_regular_file(path: Path) -> None:
    """Raise OSError as `open_regular_file` does, for a library that opens files itself."""
    open_regular_file(path).close()


def read_regular_file(path: Path, most: int, *, cut: bool = False) -> bytes:
    """The bytes of a regular file.

    Args:
        most: the most bytes that are read.
        cut: read only the first `most` bytes of a larger file, instead of raising ValueError.

    Raises OSError as `open_regular_file` does.
    """
    with open_regular_file(path) as file:
        found = file.read(most if cut else most + 1)
    if len(found) > most:
        raise ValueError(f"it has more than {most / 1e6:g} MB")
    return found
