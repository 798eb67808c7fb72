"""To a Ray cluster, or one line that says why not."""

import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

from hpsearch.errors import DeviceError

_SECONDS = 15.0  # that a cluster may take to answer


def connect(address: str, folder: Path | None) -> tuple[Any, bool]:
    """The module `ray`, connected; and whether it was not before. Raises DeviceError.

    folder: is copied to every node, where its workers run in it.
    """
    ray = _ray()
    if ray.is_initialized():
        return ray, False
    if "://" in address:
        raise DeviceError(
            f"--ray {address}: a Ray client cannot carry a search; run this on a node of the "
            "cluster, with --ray auto or HOST:PORT"
        )
    if address != "auto":
        _answers(address)
    options = {"runtime_env": {"working_dir": str(folder)}} if folder is not None else {}
    error = _bounded(
        lambda: ray.init(
            address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True,
            **options,
        )
    )  # fmt: skip
    if isinstance(error, ConnectionError):
        raise DeviceError(
            f"--ray {address}: no Ray cluster runs here; start one by: ray start --head"
        ) from error
    if error is not None:
        lines = " ".join(str(error).split())
        raise DeviceError(f"--ray {address}: Ray could not connect: {lines}") from error
    return ray, True


def inventory(ray: Any) -> str:
    """What the cluster has, in words."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores, gpus = (sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
    return f"{len(nodes)} nodes with {cores:g} cores and {gpus:g} GPUs"


def _ray() -> Any:
    try:
        # What its own threads have to say of a node that is gone is told by us.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise DeviceError(
            "--ray needs Ray, which is not installed; get it by: pip install 'hpsearch[ray]'"
        ) from error
    return ray


def _answers(address: str) -> None:
    """Refuse at once what Ray would wait minutes for."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise DeviceError(f"--ray {address}: neither auto nor HOST:PORT, as 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except (OSError, OverflowError) as error:
        raise DeviceError(
            f"--ray {address}: nothing answers there ({error}); give the head's address, as "
            "`ray start --head` printed it, or --ray auto on a node of the cluster"
        ) from error


def _bounded(start: Any) -> BaseException | None:
    """Call it in a thread of its own, which Ray cannot hold up nor end; what it raised, if it did."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            start()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if thread.is_alive():
        return TimeoutError(f"it did not answer within {_SECONDS:g} seconds")
    return raised[0] if raised else None
