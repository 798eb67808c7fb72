"""Standard output and error that never fail whoever writes to them.

A search goes on all night when the reader of its lines has gone (`run | head -1`), its terminal is
closed, or the disk of its log is full for a while.
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

    Without a reader, all is lost from then on, silently: that is what readers of pipes expect.
    error: why something else was lost, the first time.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        # All of it: under `python -u` there is no buffer in front that would write the rest.
        rest = memoryview(data).cast("B")
        try:
            while rest:
                written = super().write(rest)
                if written is None:  # a full pipe or terminal that does not block
                    select.select([], [self], [])
                rest = rest[written or 0 :]
            return len(data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # EIO: of a terminal that was closed
                # Also for what libraries and child processes write there.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            else:
                self.error = self.error or error
            return len(data)


class TolerantText(io.TextIOWrapper):
    """Text that goes to a tolerant stream; a study that closes it does not close it for others."""

    def close(self) -> None:
        self.flush()


def never_fail() -> list[TolerantStream]:
    """Make this process's standard output and error tolerant, as far as they are its own.

    Returns them, in this order; not those that are closed, or that a test or a notebook replaced.
    None on Windows, whose consoles take text by a way of their own.
    """
    if os.name == "nt":
        return []
    made = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue
        raw = TolerantStream(stream.fileno())
        # Under `python -u` nothing is buffered, so that logs of containers are up to date.
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
    """Write back the bytes of names that are no text, and ? for what the encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    end = error.start + 1  # one by one: both may stand side by side
    one = UnicodeEncodeError(error.encoding, error.object, error.start, end, error.reason)
    try:
        return codecs.lookup_error("surrogateescape")(one)
    except UnicodeEncodeError:
        return codecs.replace_errors(one)


codecs.register_error("hpsearch.surrogateescape", _escape_or_replace)
_TOLERANT_ERRORS = {"strict": "replace", "surrogateescape": "hpsearch.surrogateescape"}
