"""The peak memory of this process."""

import sys
from contextlib import suppress


def peak_bytes(running: str) -> int:
    """The most memory that this process ever held, in bytes; on a GPU, the GPU's.

    Args:
        running: the backend.

    Returns 0 where the system does not say.
    """
    on_gpu = _peak_on_gpu(running)
    if on_gpu:
        return on_gpu
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - _mapped_files()


def _mapped_files() -> int:
    """Bytes of mapped files, as shared data is: all workers share them."""
    with suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("RssFile"))
        return int(line.split()[1]) * 1024
    return 0


def _peak_on_gpu(running: str) -> int:
    with suppress(Exception):  # a figure in a table must not fail a trial
        if running == "jax":
            import jax

            return int((jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))
        if running == "torch":
            import torch

            return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0
        import tensorflow

        if tensorflow.config.list_physical_devices("GPU"):
            return int(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])
    return 0
