"""A process that runs commands one after the other without starting Python anew for each."""

import io
import multiprocessing
import os
import resource
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """How a command ended. code: None: it hung, or its process died; err says which."""

    code: int | None
    out: str
    err: str


class CommandServer:
    """Runs hpsearch's commands; one that hangs, or crashes the interpreter, is found out.

    limit: seconds that a command may take. gigabytes: of memory that it may take.
    """

    def __init__(self, limit: float, gigabytes: float = 6.0) -> None:
        self._limit, self._gigabytes = limit, gigabytes
        self._process: Any = None

    def run(self, folder: Path, *arguments: str) -> Answer:
        """Run a command in the folder."""
        if self._process is None:
            spawn = multiprocessing.get_context("spawn")
            self._here, there = spawn.Pipe()
            self._process = spawn.Process(target=_serve, args=(there, self._gigabytes), daemon=True)
            self._process.start()
            there.close()
            assert self._here.recv() == "ready"
        self._here.send((str(folder), arguments))
        try:
            if self._here.poll(self._limit):
                return Answer(*self._here.recv())
            how = f"hangs: over {self._limit:g} s"
        except (EOFError, ConnectionResetError):
            self._process.join(10)
            how = f"died: exit code {self._process.exitcode}"
        self.close()
        return Answer(None, "", how)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._here.close()
            self._process = None


def _serve(pipe: Connection, gigabytes: float) -> None:
    from hpsearch.commands import main
    from hpsearch.runs import worker
    from tests import fakes

    os.environ["HPSEARCH_BASELINES"] = "off"
    worker.prepare_from_file = fakes.prepare_chain  # type: ignore[assignment]  # trains nothing
    fakes.time.sleep = lambda seconds: None  # type: ignore[assignment]
    most = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    pipe.send("ready")
    while True:
        try:
            folder, arguments = pipe.recv()
        except EOFError:
            return
        os.chdir(folder)
        pipe.send(_call(main.main, arguments))


def _call(main: Any, arguments: Sequence[str]) -> tuple[int | None, str, str]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["hpsearch", *arguments]
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        except BaseException:
            code = 1
            traceback.print_exc()
    return code, out.getvalue(), err.getvalue()
