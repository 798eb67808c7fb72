"""Standard output and error that never fail whoever writes to them.

A search goes on all night when the reader of its lines has gone (`run | head -1`), its terminal is
closed, or the disk of its log is full for a while.
"""

import errno
import io
import os
import sys
from typing import Any, TextIO


class Unfailing(io.FileIO):
    """A stream of this process to which writing never fails.

    Without a reader, all is lost from then on, silently: that is what readers of pipes expect.
    error: why something else was lost, the first time.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # EIO: of a terminal that was closed
                # Also for what libraries and child processes write there.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            else:
                self.error = self.error or error
            return len(data)


def never_fail() -> list[Unfailing]:
    """Make this process's standard output and error unfailing, as far as they are its own.

    Returns them, in this order; not those that are closed, or that a test or a notebook replaced.
    """
    made = []
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None or stream is not getattr(sys, f"__{name}__"):
            continue
        raw = Unfailing(stream.fileno())
        text = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors="replace",  # what the terminal's encoding lacks, as ± in ASCII
            line_buffering=name == "stderr" or stream.isatty(),
        )
        stream.flush()
        setattr(sys, name, text)
        made.append(raw)
    return made
