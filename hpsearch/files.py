"""Files that appear whole or not at all, and folders that may lie elsewhere."""

import functools
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from hpsearch.errors import StoreError, first_line


def place(text: str) -> Path:
    """A folder on disk, or one that a URL names (s3://bucket/folder, file:///mnt/all): it is used
    as a Path is, by fsspec. Raises StoreError where what that takes is not installed.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath

        folder = UPath(text, use_listings_cache=False)
        folder.exists()  # now: it loads what speaks to there
    except ImportError as error:
        raise StoreError(
            f"{shown(text)}: {error}; pip install 'hpsearch[ray]', and what fsspec needs for such a URL"
        ) from error
    except Exception as error:  # of whatever speaks to there
        lines = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(shown(f"{text} cannot be reached: {lines}")) from error
    return cast(Path, folder)


def shown(text: object) -> str:
    """A text without the names and passwords in its URLs.

    >>> shown("sftp://me:secret@host/folder cannot be reached")
    'sftp://host/folder cannot be reached'
    """
    return re.sub(r"://[^/\s]*@", "://", str(text))


@contextmanager
def marked(folder: Path) -> Iterator[Path]:
    """A file in it, by which others know whether they see the same folder. Raises StoreError."""
    mark = folder / f"seen-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_bytes(b"here")
    except Exception as error:  # of whatever speaks to there
        raise StoreError(shown(f"{folder} cannot be written: {first_line(error)}")) from error
    try:
        yield mark
    finally:
        with suppress(Exception):
            mark.unlink()
            if is_local(folder):
                folder.rmdir()  # if nothing came of it


def is_local(folder: Path) -> bool:
    return isinstance(folder, Path)


def remove(folder: Path, *, wait: bool = True) -> None:
    """Delete it with all that is in it, if it can be. wait: until it is gone, if it is far away."""
    if is_local(folder):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        removing = _removers().submit(_remove_far, folder)
        if wait:
            removing.result()


@functools.cache
def _removers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(8, "hpsearch-remove")


def _remove_far(folder: Path) -> None:
    with suppress(Exception):
        folder.rmdir(recursive=True)  # type: ignore[call-arg]


def write_whole(path: Path, content: str | bytes) -> None:
    """Raises OSError where it cannot be written."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(partial, path)
