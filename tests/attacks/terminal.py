"""A command in a terminal of its own, which can be resized, suspended and closed."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.attacks.commands import ROOT


class Terminal:
    """Run `python -m MODULE ARGUMENTS` in a folder, with a pseudo-terminal for all its streams."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.output = b""
        self._code: int | None = None
        variables = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder.parent),
            "TERM": "xterm-256color",
            "HPSEARCH_STORE": "store.db",
            **(env or {}),
        }
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(folder)
                # A harness in the background of a shell ignores it, and so would its children.
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.execve(sys.executable, [sys.executable, "-m", module, *arguments], variables)
            finally:
                os._exit(127)
        self.resize(24, 80)

    def resize(self, lines: int, columns: int) -> None:
        """The terminal's window gets another size; the command is signalled."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def write(self, text: bytes) -> None:
        os.write(self._master, text)

    def signal(self, number: int) -> None:
        """To the command and all that it started."""
        os.killpg(self.pid, number)

    def read_until(self, text: bytes, seconds: float = 60) -> bool:
        """Whether the command printed a text by then."""
        end = time.monotonic() + seconds
        while text not in self.output and time.monotonic() < end and self._read(0.1):
            pass
        return text in self.output

    def close(self) -> None:
        """The window is closed: the command gets SIGHUP, and errors where it writes."""
        os.close(self._master)
        self._master = -1

    def wait(self, seconds: float = 90) -> int | None:
        """The exit code, negative for a signal; None where it had to be killed after so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._code is None:
            if self._master >= 0:
                self._read(0.05)
            else:
                time.sleep(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        while self._master >= 0 and self._read(0.0):
            pass
        return self._code

    def end(self) -> None:
        """Kill what is left."""
        if self._code is None:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._master >= 0:
            self.close()

    def _read(self, seconds: float) -> bool:
        """Take what was printed; False where nothing will be any more, or nothing was."""
        if not select.select([self._master], [], [], seconds)[0]:
            return seconds > 0
        try:
            found = os.read(self._master, 65536)
        except OSError:  # nobody has it open any more
            return False
        self.output += found
        return bool(found)
