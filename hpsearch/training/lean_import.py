"""Import Keras without what only a few of its users need, which takes longer than Keras itself.

Keras imports scikit-learn (and with it scipy.stats) for its wrappers, matplotlib for its galleries,
pandas for tables as input. Here these parts are imported when something first uses them.
"""

import gc
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from hpsearch.training.garbage import paused_garbage_collection

# Keras, and JAX below it, import these as modules and take nothing out of them until it is used.
_LATER = {
    *("keras.visualization", "keras._tf_keras.keras.visualization", "keras.src.visualization"),
    *("keras.wrappers", "keras._tf_keras.keras.wrappers"),
    "keras.src.trainers.data_adapters.array_slicing",  # pandas; `fit` uses it
    *("IPython", "h5py", "requests"),
    "jax.experimental.sparse.linalg",  # scipy.sparse
    "jax.experimental.pallas.tpu",
}


class _LaterFinder:
    """Finds the modules of `_LATER`, to be loaded when an attribute of theirs is first read."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _LATER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None  # not installed, as others will say
        spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def import_keras() -> None:
    """Import Keras on the backend that was chosen; what it seldom needs is imported later."""
    if "keras" in sys.modules:
        return
    finder = _LaterFinder()
    sys.meta_path.insert(0, finder)
    with paused_garbage_collection():  # else it takes a quarter of the time
        try:
            importlib.import_module("keras")
        finally:
            sys.meta_path.remove(finder)
    if gc.isenabled():
        gc.freeze()  # nor need later collections look at it
