"""One fit that trains in a batch: its model's structure, its scalars, its first weights."""

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve
from hpsearch.training import checkpoint
from hpsearch.training.base import Fit, ModelSpec
from hpsearch.training.batched.adapted import digest_constants
from hpsearch.training.batched.padding import (
    DenseChain,
    OwnLayout,
    PaddedLayout,
    StateArrays,
    describe_kind,
    parse_chain,
)
from hpsearch.training.batched.scalars import (
    ModelScalars,
    computes_in_half,
    describe_structure,
)
from hpsearch.training.building import is_loss_scaling, state_variables
from hpsearch.training.deferred import compute_first_value, deferred_initialization
from hpsearch.training.frozen import FrozenPart, find_frozen_part
from hpsearch.training.history import History
from hpsearch.training.phases import PhasedModel
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.schedules import own_schedule


@dataclass(eq=False)
class BatchMember:
    """One fit of a batch.

    Args:
        index: its place among the fits asked for.
        history: its curves so far.
        phased: the built model, in the phase that trains now; never trained itself.
        frozen: its part that is not trained, where that comes before all others; else None.
        model: what is trained of it, which lends its structure: all, or what follows `frozen`.
        scalars: the model's numbers that a program takes as data.
        layout: how its variables lie in the program that trains it; its template sets another
            one where that program is of a wider network.
        seconds: its share of the time so far.
        compile_seconds: those of them in which it waited for programs to compile.
        program: names the template whose programs train it.
    """

    index: int
    history: History
    phased: PhasedModel
    frozen: FrozenPart | None
    model: Any
    scalars: ModelScalars
    layout: OwnLayout | PaddedLayout
    seconds: float = 0.0
    compile_seconds: float = 0.0
    program: str = ""

    @classmethod
    def build(
        cls, index: int, fit: Fit, spec: ModelSpec, metrics: Sequence[Metric]
    ) -> "BatchMember":
        """Build the model of a fit, and restore its checkpoint; raises what `build` raises.

        Args:
            metrics: that are recorded; the first is the objective.
        """
        start = time.perf_counter()
        history = History(fit, metrics)
        with deferred_initialization():
            phased = PhasedModel(fit.build, spec, fit.params, fit.seed)
            phased.restore(history)
            if not history.has_ended:
                phased.enter_phase(history.epochs)
                history.phase_end = phased.end
            model = phased.model
            own_schedule(model)
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        # A model of several inputs has no single row of features.
        frozen = None if isinstance(spec.input_shape, dict) else find_frozen_part(model)
        model = model if frozen is None else frozen.head
        scalars = ModelScalars(model)
        seconds = time.perf_counter() - start
        return cls(index, history, phased, frozen, model, scalars, OwnLayout(scalars), seconds)

    def describe_structure(self) -> str:
        """A text that is equal for members that one program can train."""
        constants = None
        if self.phased.has_adapted:
            constants = functools.partial(digest_constants, self.model, self.phased.spec)
        return describe_structure(self.model, self.scalars, self.fit, constants)

    def keep_for_next_phase(self, folder: str) -> None:
        """Give a fit that keeps no checkpoint one in this folder, where it has a phase left."""
        end, fit = self.history.phase_end, self.fit
        if fit.checkpoint_out is None and end is not None and end < fit.epochs:
            kept = Path(folder) / f"{self.index}.npz"
            self.history.fit = replace(fit, checkpoint_out=kept)

    @functools.cached_property
    def chain(self) -> DenseChain | None:
        """The model as a chain of dense layers; None where it is not one, or not in full precision.

        Half precision rounds the sums of a wider network's layers in another way.
        """
        if computes_in_half(self.model) or is_loss_scaling(self.model.optimizer):
            return None
        return parse_chain(self.model)

    @functools.cached_property
    def optimizer_kind(self) -> str:
        """A text that is equal for members whose optimizers differ in their scalars alone."""
        return describe_kind(self.model, self.scalars)

    @property
    def fit(self) -> Fit:
        return self.history.fit

    @property
    def rows(self) -> int:
        """Training rows."""
        return len(self.fit.split.train)

    @property
    def batch_size(self) -> int:
        """Rows of its minibatches."""
        return min(batch_size(self.fit.params), self.rows)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return math.ceil(self.rows / self.batch_size)

    def initial_state(self) -> StateArrays:
        """The state that its program starts with."""
        weights, others, slots = (
            [compute_first_value(variable) for variable in part]
            for part in state_variables(self.model)
        )
        return self.layout.pad_state((weights, others, slots))

    def save_checkpoint(self, state: StateArrays) -> None:
        """Write its program's state as a checkpoint, from which any trainer can continue."""
        values = {
            id(variable): value
            for variables, arrays in zip(
                state_variables(self.model), self.layout.unpad_state(state), strict=True
            )
            for variable, value in zip(variables, arrays, strict=True)
        }
        wanted = [
            values[id(variable)] if id(variable) in values else compute_first_value(variable)
            for variable in self.phased.list_variables()
        ]
        checkpoint.save(self.history, wanted)

    def to_curve(self) -> Curve:
        return self.history.to_curve(
            n_weights=int(self.phased.model.count_params()),
            seconds=self.seconds,
            compile_seconds=self.compile_seconds,
            program=self.program,
        )
