"""Start commands as forks of a process that has imported what they need: each is a process of its own,
and costs a tenth of the time of a new interpreter.

As a program, `python -m tests.attacks.forked SOCKET`, it is the process that forks.
"""

import array
import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_IMPORTS = (
    *("hpsearch.commands.main", "hpsearch.tasks.digits", "hpsearch.runs.session", "spaces.mlp"),
    *("tests.fakes", "numpy", "pandas", "sklearn.datasets", "sklearn.model_selection", "optuna"),
)
_LONGEST = 2**20  # bytes of a request
_ENDED = 8  # bytes of an exit status
_starting = threading.Lock()


class Forked:
    """A command that runs, used as a `subprocess.Popen` is."""

    stdin = stdout = stderr = None

    def __init__(
        self, module: str, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], memory: int
    ) -> None:
        """Start `python -m MODULE ARGUMENTS` in the folder. memory: bytes of address space."""
        self.returncode: int | None = None
        self._out, self._err = (tempfile.TemporaryFile() for _ in range(2))
        request = json.dumps([module, list(arguments), os.fspath(cwd), dict(env), memory])
        self._connection = socket.socket(socket.AF_UNIX)
        with _starting:
            address = _server()
        self._connection.connect(address)
        files = array.array("i", [self._out.fileno(), self._err.fileno()])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)]
        self._connection.sendmsg([len(request).to_bytes(4, "big")], ancillary)
        self._connection.sendall(request.encode())
        self.pid = self._receive()

    def communicate(self, stdin: None, timeout: float | None) -> tuple[bytes, bytes]:
        """What it wrote, once it has ended. Raises subprocess.TimeoutExpired."""
        if not select.select([self._connection], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a fork", timeout or 0)
        self.wait()
        found = []
        for file in (self._out, self._err):
            file.seek(0)
            found.append(file.read())
            file.close()
        return found[0], found[1]

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(self._receive())
            self._connection.close()
        return self.returncode

    def _receive(self) -> int:
        return int.from_bytes(self._connection.recv(_ENDED, socket.MSG_WAITALL), "big")


@cache
def _server() -> str:
    """The address of the process that forks, which ends with this one."""
    folder = tempfile.TemporaryDirectory(prefix="forked-")
    address = os.path.join(folder.name, "socket")
    here = Path(__file__).parent.parent.parent
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.attacks.forked", address],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(here), "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    atexit.register(lambda: (server.kill(), server.wait(), folder.cleanup()))
    return address


def _serve(address: str) -> tuple[str, list[str]]:
    """Fork for each request; comes back in the forks alone, with the module and its arguments."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(8)
    for module in _IMPORTS:
        importlib.import_module(module)
    gc.freeze()  # memory that no fork has to copy
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            os._exit(0)  # whoever asks is gone
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        size, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_LEN(2 * 4))
        files = array.array("i", ancillary[0][2])
        left = int.from_bytes(size, "big")
        request = json.loads(connection.recv(left, socket.MSG_WAITALL))
        if pid := os.fork():
            connection.sendall(pid.to_bytes(_ENDED, "big"))
            connection.sendall(os.waitpid(pid, 0)[1].to_bytes(_ENDED, "big"))
            os._exit(0)
        connection.close()
        listener.close()
        return _become(request, files)


def _become(request: list[object], files: Sequence[int]) -> tuple[str, list[str]]:
    """Make of this fork the process that was asked for."""
    import resource

    module, arguments, cwd, env, memory = request
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        errors = "backslashreplace" if name == "stderr" else None
        stream = open(number, mode, errors=errors, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(env)  # type: ignore[call-overload]
    os.chdir(str(cwd))
    sys.path[0] = str(cwd)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))  # type: ignore[arg-type]
    return str(module), list(arguments)  # type: ignore[call-overload]


if __name__ == "__main__":
    _module, _arguments = _serve(sys.argv[1])
    sys.argv[1:] = _arguments
    runpy.run_module(_module, run_name="__main__", alter_sys=True)
