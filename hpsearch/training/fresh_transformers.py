"""Copies of scikit-learn's transformers to fit, which prepare a fold the same each time."""

from typing import Any

_SEED = 0  # of what a transformer draws, where the user gives it none


def copy_seeded(transformer: Any) -> Any:
    """A copy that is not fitted. Where it draws numbers and has no seed, it gets one.

    Otherwise a fold's rows would be others in each process, and a killed run could not go on as if
    it had not been.
    """
    from sklearn.base import clone

    fresh = clone(transformer)
    if names := find_unseeded(fresh):
        fresh.set_params(**dict.fromkeys(names, _SEED))
    return fresh


def find_unseeded(estimator: Any) -> list[str]:
    """The parameters called random_state, also of its parts, that are None."""
    if not callable(getattr(estimator, "get_params", None)):
        return []
    return [
        name
        for name, value in estimator.get_params().items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]


def encodes_targets(transformer: Any) -> bool:
    """Whether it, or a part of it, makes inputs of the targets.

    As a TargetEncoder does. Then its `fit_transform` prepares the training rows, which leaves a
    row's own target out of its input; after `fit`, `transform` would show the network what it is to
    predict.
    """
    from sklearn.preprocessing import TargetEncoder

    parts = transformer.get_params().values() if hasattr(transformer, "get_params") else ()
    return any(isinstance(part, TargetEncoder) for part in [transformer, *parts])
