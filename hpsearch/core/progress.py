"""How far the jobs of this process are, told to whoever wants to know."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hpsearch.core.trial import Job, Reached

Listener = Callable[[Sequence[Reached]], None]

_listener: Listener | None = None
_on_loaded: Callable[[], None] | None = None
_untold: dict[tuple[int, int], Reached] = {}
_told = 0.0
_seconds = 0.25


def to(listener: Listener | None, seconds: float = 0.25) -> None:
    """From now on this one is told, so many seconds apart; None: nobody."""
    global _listener, _seconds
    _listener, _seconds = listener, seconds
    _untold.clear()


def on_loaded(call: Callable[[], None] | None) -> None:
    """Call this once study and data are loaded, before a model is built."""
    global _on_loaded
    _on_loaded = call


def report_loaded() -> None:
    """Say that study and data are loaded: what follows should not take long."""
    if _on_loaded is not None:
        _on_loaded()


class Told:
    """One job's folds, each of which says how far it is."""

    def __init__(self, job: Job, folds: int) -> None:
        self._reached = Reached(job.trial, job.repeat, float(job.begun))
        self._epochs = [job.begun] * folds
        self._values: dict[int, float] = {}
        _tell(self._reached)

    def fold(self, fold: int) -> Callable[[int, float], None]:
        def seen(epochs: int, value: float) -> None:
            self._epochs[fold], self._values[fold] = epochs, value
            epochs_reached = sum(self._epochs) / len(self._epochs)
            value_reached = sum(self._values.values()) / len(self._values)
            _tell(replace(self._reached, epochs=epochs_reached, value=value_reached))

        return seen


def _tell(reached: Reached) -> None:
    global _told
    if _listener is None:
        return
    _untold[reached.trial, reached.repeat] = reached
    if time.monotonic() - _told >= _seconds:
        _listener(list(_untold.values()))
        _untold.clear()
        _told = time.monotonic()
