"""A PostgreSQL server of one's own, on loopback, gone with its process: `python -m tests.postgres`.

It prints the server's URL, and ends when it is told to, or when its standard input does; where no
server is installed, at once. As root it runs as the user postgres, because the server refuses root.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self


def binaries() -> Path | None:
    """Where initdb and postgres are, of the newest version there is."""
    found = [*map(Path, filter(None, [shutil.which("initdb")]))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].resolve().parent if found else None


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Server:
    """A server with an empty database `postgres`; it can be killed and started again."""

    def __init__(self) -> None:
        self.port, self.password = free_port(), f"pw-{secrets.token_hex(8)}"
        self.url = f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        found = binaries()
        assert found is not None
        self._binaries = found

    def __enter__(self) -> Self:
        if self._as:
            shutil.chown(self._folder, **self._as)
        self._run("initdb", "-A", "trust", "-U", "postgres", "--no-sync")
        hba = self._folder / "data" / "pg_hba.conf"
        hba.write_text("host all all 127.0.0.1/32 trust\n")
        self.start()
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE postgres PASSWORD '{self.password}'")
            hba.write_text("host all all 127.0.0.1/32 scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, "-D", "data", *arguments],
            cwd=self._folder,
            check=True,
            capture_output=True,
            **self._as,
        )

    def start(self) -> None:
        """Returns when it answers."""
        import psycopg

        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", "data", "-p", str(self.port),
                 *(part for setting in settings for part in ("-c", setting))],
                cwd=self._folder, stdout=log, stderr=log, start_new_session=True, **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """Of all its processes, without a word to any."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Network:
    """What lies between a store and its server, and can fail.

    down: nobody gets through. lose: whether the connection breaks at the next commit, before the
    server hears of it ("commit"), or before its answer is heard ("answer").
    """

    def __init__(self, port: int) -> None:
        self._server, self.down = port, False
        self.lose: str | None = None
        self._deaf = False
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def fail(self) -> None:
        self.down = True
        self._cut()

    def close(self) -> None:
        self._listening.close()
        self._cut()

    def _cut(self) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                if self.down:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._server))
                self._open += [near, far]
                for ends in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                lost = self.lose if asks and b"COMMIT" in data else None
                if lost:
                    self.lose, self._deaf = None, True
                if lost != "commit" and (asks or not self._deaf):
                    to.sendall(data)
                if lost:
                    time.sleep(0.1)  # the server commits
                    self._deaf = False
                    source.shutdown(socket.SHUT_RDWR)
        # However this end went, also where a killed server resets it, the other must hear of it.
        with suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)


def main() -> None:
    if binaries() is None:
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with Server() as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
