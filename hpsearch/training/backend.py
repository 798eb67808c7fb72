"""Which Keras backend trains, decided before Keras is imported."""

import importlib.util
import os
import sys
from pathlib import Path

from hpsearch.errors import HpsearchError

_PROGRAMS = 10_000  # files of some 30 kB

BACKENDS = ("jax", "tensorflow", "torch")


def name(backend: str | None = None) -> str:
    """The backend to train on: the one named, else $KERAS_BACKEND, else JAX.

    JAX is the default because the same Keras code trains several times faster on it, on CPU,
    than on TensorFlow. Raises HpsearchError where it is unknown or not installed.
    """
    wanted = backend or os.environ.get("KERAS_BACKEND") or "jax"
    if wanted not in BACKENDS:
        raise HpsearchError(f"unknown backend {wanted!r}; known: {', '.join(BACKENDS)}")
    if importlib.util.find_spec(wanted) is None:
        raise HpsearchError(f"backend {wanted} is not installed: pip install {wanted}")
    return wanted


def choose(backend: str | None = None) -> str:
    """Set the backend before Keras is imported, and return its name.

    Raises HpsearchError where Keras already runs on another one than the one named.
    """
    if "keras" in sys.modules:
        import keras

        running = str(keras.backend.backend())
        if backend is not None and name(backend) != running:
            raise HpsearchError(
                f"Keras already runs on {running} in this process and cannot change to {backend}; "
                f"set KERAS_BACKEND={backend} before it is imported"
            )
        return running
    wanted = name(backend)
    os.environ["KERAS_BACKEND"] = wanted
    _keep_compiled_programs()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes drown the trials' lines
    return wanted


def _keep_compiled_programs() -> None:
    """Let JAX keep its compiled programs: folds, and the next run, need not compile again.

    They are machine code, so they lie in the user's own cache folder, never beside a store that
    somebody else may have sent. JAX's own settings, where made, go first.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "hpsearch" / "jax"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        _trim(folder)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _trim(folder: Path) -> None:
    """Delete the oldest programs beyond `_PROGRAMS`: nothing else would, and a night adds many."""
    try:
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
    except OSError:  # no folder yet, or another run trims it
        return
    for file in files[:-_PROGRAMS]:
        file.unlink(missing_ok=True)
