"""Choose the Keras backend, before Keras is imported."""

import importlib.util
import os
import sys
import warnings

from hpsearch.core.errors import HpsearchError
from hpsearch.training import compile_cache

BACKENDS = ("jax", "tensorflow", "torch")


def name(backend: str | None = None) -> str:
    """The backend to train on: the one named, else $KERAS_BACKEND, else JAX.

    JAX is the default because the same Keras code trains several times faster on it, on CPU,
    than on TensorFlow. Raises HpsearchError where it is unknown or not installed.
    """
    wanted = (os.environ.get("KERAS_BACKEND") or "jax") if backend is None else backend
    if wanted not in BACKENDS:
        raise HpsearchError(f"unknown backend {wanted!r}; known: {', '.join(BACKENDS)}")
    if importlib.util.find_spec(wanted) is None:
        raise HpsearchError(f"backend {wanted} is not installed: pip install {wanted}")
    return wanted


def _ignore_wide_types(backend: str) -> None:
    """Let JAX 0.11 and later not tell at each fit that it computes with targets in 32 bits.

    Keras 3.15 passes it the type that they have in NumPy, whatever they are converted to.
    """
    if backend == "jax":
        warnings.filterwarnings("ignore", "Explicitly requested dtype", UserWarning)


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
        _ignore_wide_types(running)
        return running
    wanted = name(backend)
    os.environ["KERAS_BACKEND"] = wanted
    if wanted == "jax":
        compile_cache.use()
    _ignore_wide_types(wanted)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up messages hide those of trials
    return wanted
