"""Models that are trained in phases: first with some layers frozen, then compiled anew."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params
from hpsearch.training import checkpoint
from hpsearch.training.base import Build, ModelSpec, Phase
from hpsearch.training.building import call_build, check_model, start_phase
from hpsearch.training.history import History


class PhasedModel:
    """The model of a fit, in the phase that it has reached. A plain model has a single phase.

    Args:
        build: the study's; it returns a compiled model, or `Phases`.
        spec: for `build`.
        params: the point.
        seed: of the first weights.

    Attributes:
        spec: what `build` was told.
        model: the compiled model of the phase.
        earlier: those of the phases before.

    Raises BuildError where `build` returns something else.
    """

    def __init__(self, build: Build, spec: ModelSpec, params: Params, seed: int) -> None:
        self._build, self.spec, self._params, self._seed = build, spec, params, seed
        self._start_anew()

    def _start_anew(self) -> None:
        self.model, self._phases = call_build(self._build, self.spec, self._params, self._seed)
        self.earlier: list[Any] = []
        self._ends = _check_phases(self._phases, self.spec) if self._phases else []

    @property
    def phases(self) -> int:
        return max(1, len(self._phases))

    @property
    def has_adapted(self) -> bool:
        """Whether `build` adapted a layer to the fold's rows: the model may hold their values."""
        return self.spec.adapter is not None and self.spec.adapter.was_used

    @property
    def end(self) -> int | None:
        """The epoch with which the phase ends; None where it goes on to the end of the fit."""
        position = len(self.earlier)
        return self._ends[position] if position < len(self._ends) else None

    def enter_phase(self, epochs: int) -> None:
        """Enter the phase that trains what comes after this many epochs."""
        while self.end is not None and epochs >= self.end:
            self._enter_next()

    def restore(self, history: History) -> Path | None:
        """Continue where the fit was interrupted, else where its parent ended, else start anew.

        Returns the checkpoint that it continues from.
        """
        for path in (history.fit.checkpoint_out, history.fit.checkpoint_in):
            if path is None:
                continue
            if self.phases > 1:
                # The phase in which the last of its epochs was trained: another may begin then.
                self.enter_phase(max(0, checkpoint.count_epochs(path, history) - 1))
            curves = checkpoint.load(path, history, self.model, self.earlier)
            if curves is not None:
                history.resume_from(curves)
                return path
            if self.earlier:
                self._start_anew()
        return None

    def list_variables(self) -> list[Any]:
        """The variables that a checkpoint holds, in its order."""
        return checkpoint.list_variables(self.model, self.earlier)

    def read_values(self) -> list[Any]:
        """The whole state, as arrays, as a checkpoint holds it."""
        return checkpoint.read_values(self.model, self.earlier)

    def assign_values(self, values: Sequence[Any]) -> None:
        """Set the whole state; the inverse of `read_values`."""
        for variable, value in zip(self.list_variables(), values, strict=True):
            variable.assign(value)

    def _enter_next(self) -> None:
        self.earlier.append(self.model)
        position = len(self.earlier)
        seed = derive_seed(self._seed, "phase", position)
        self.model = start_phase(self._phases[position], seed)
        check_model(self.model, self.spec)


def _check_phases(phases: Sequence[Phase], spec: ModelSpec) -> list[int]:
    """The epochs with which all phases but the last one end; BuildError where they are wrong."""
    *first, last = phases
    ends: list[int] = []
    for phase in first:
        epochs = phase.epochs
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
            raise BuildError(
                "every phase but the last needs epochs= a whole number of at least 1, got "
                f"{brief(epochs)}"
            )
        ends.append(epochs + (ends[-1] if ends else 0))
    if last.epochs is not None:
        raise BuildError(
            f"the last phase goes on to the end of the trial; leave out epochs={brief(last.epochs)}"
        )
    if ends and spec.epochs and ends[-1] > spec.epochs:
        raise BuildError(
            f"the phases before the last take {ends[-1]} epochs, and a trial has {spec.epochs} at "
            "most; give them fewer, or the searcher more"
        )
    return ends
