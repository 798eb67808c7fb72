"""Connects to a Ray cluster, or raises an error whose one line says why that fails."""

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from hpsearch.core.errors import DeviceError
from hpsearch.core.files import hide_secrets

_SECONDS = 20.0  # within which a cluster must answer


def connect(address: str, folder: Path | None) -> tuple[Any, bool]:
    """The module `ray`, connected; and whether this call connected it. Raises DeviceError.

    Args:
        folder: copied to every node; workers run in it.
    """
    ray = _import_ray()
    if ray.is_initialized():
        return ray, False
    if "://" in address:
        raise DeviceError(
            f"--ray {hide_secrets(address)}: a Ray client cannot carry a search; run this on a node of "
            "the cluster, with --ray auto or HOST:PORT"
        )
    _check_address(address)
    options = {"runtime_env": {"working_dir": str(folder)}} if folder is not None else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        lines = " ".join(str(error).split())
        raise DeviceError(f"--ray {address}: Ray could not connect: {lines}") from error
    return ray, True


def inventory(ray: Any) -> str:
    """The nodes, cores and GPUs of the cluster, in words."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores, gpus = (sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
    return (
        f"{_counted(len(nodes), 'node')} with {_counted(cores, 'core')} and {_counted(gpus, 'GPU')}"
    )


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'s' * (number != 1)}" if number else f"no {what}"


def _import_ray() -> Any:
    try:
        # Silences messages of Ray's own threads on lost nodes: this program reports them.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise DeviceError(
            "--ray needs Ray, which is not installed; get it by: pip install 'hpsearch[ray]'"
        ) from error
    return ray


def _check_address(address: str) -> None:
    """Refuse an address that does not answer.

    Tried in a child process, because Ray waits for minutes and then exits.
    """
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise DeviceError(f"--ray {address}: neither auto nor HOST:PORT, such as 10.0.0.1:6379")
        try:
            socket.create_connection((host, int(port)), timeout=5.0).close()
        except (OSError, OverflowError) as error:
            raise DeviceError(
                f"--ray {address}: nothing answers there ({error}); give the head's address, as "
                "`ray start --head` printed it, or --ray auto on a node of the cluster"
            ) from error
    code = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", code, address],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"--ray {address}: no Ray cluster answered within {_SECONDS:g} seconds; see "
            "`ray status`"
        ) from None
    if tried.returncode:
        last = (tried.stderr.strip().splitlines() or ["it ended"])[-1]
        raise DeviceError(
            f"--ray {address}: no Ray cluster could be joined; start one by: ray start --head "
            f"({last})"
        )
