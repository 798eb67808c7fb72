"""Standard output and error to which writing never fails.

So a search continues all night when the reader of its output is gone (`run | head -1`), its
terminal is closed, or the disk of its log is full for a while.
"""

import codecs
import errno
import io
import os
import select
import sys
from typing import Any


class TolerantStream(io.FileIO):
    """A stream of this process to which writing never fails.

    Once the reader is gone, all output is dropped silently, as is usual for pipes.

    Attributes:
        error: the first error of any other kind, by which output was lost.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        # All of it, because under `python -u` there is no buffer that would write the rest later.
        rest = memoryview(data).cast("B")
        try:
            while rest:
                written = super().write(rest)
                if written is None:  # a non-blocking pipe or terminal is full: wait
                    select.select([], [self], [])
                rest = rest[written or 0 :]
            return len(data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # EIO: the terminal was closed
                # On the descriptor itself, for output of libraries and child processes too.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            else:
                self.error = self.error or error
            return len(data)


class TolerantText(io.TextIOWrapper):
    """Text that goes to a tolerant stream. Code that closes it does not close it for others."""

    def close(self) -> None:
        self.flush()


def make_streams_tolerant() -> list[TolerantStream]:
    """Make this process's standard output and error tolerant, and return them in this order.

    Streams that are closed, or that a test or a notebook replaced, are left alone. So are all of
    them on Windows, where consoles take text in another way.
    """
    if os.name == "nt":
        return []
    made = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        raw = TolerantStream(stream.fileno())
        # No buffer under `python -u`, by which logs of containers are up to date.
        buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)
        text = TolerantText(
            buffer,
            encoding=stream.encoding,
            errors=_TOLERANT_ERRORS.get(stream.errors or "strict", stream.errors),
            line_buffering=name == "stderr" or stream.line_buffering,
            write_through=stream.write_through,
        )
        stream.flush()
        setattr(sys, name, text)
        made.append(raw)
    return made


def _escape_or_replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write file names that are no text as their own bytes, and ? for what the encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    end = error.start + 1  # one character at a time, because both kinds may be neighbours
    one = UnicodeEncodeError(error.encoding, error.object, error.start, end, error.reason)
    try:
        return codecs.lookup_error("surrogateescape")(one)
    except UnicodeEncodeError:
        return codecs.replace_errors(one)


codecs.register_error("hpsearch.surrogateescape", _escape_or_replace)
_TOLERANT_ERRORS = {"strict": "replace", "surrogateescape": "hpsearch.surrogateescape"}


def is_in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; an IPython terminal is none."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
