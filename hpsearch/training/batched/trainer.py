"""The trainer that trains many fits side by side, as one compiled program, on JAX."""

import contextlib
import logging
import math
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hpsearch.core.arrays import Inputs
from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError, first_line, is_out_of_memory
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.training import metrics
from hpsearch.training.adapting import LayerAdapter
from hpsearch.training.base import Build, Callbacks, Fit, ModelSpec, Split
from hpsearch.training.batched.batchable import (
    why_metric_differs,
    why_not_batchable,
    why_rows_mix,
)
from hpsearch.training.batched.device_data import DeviceTable, why_too_large
from hpsearch.training.batched.grouping import distinct_splits, group_by_rows
from hpsearch.training.batched.hardware import cache_bytes, device_bytes, free_bytes, use_all_cores
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.program import PROGRAMS, Program, table_sharding
from hpsearch.training.batched.program_spec import round_up_members
from hpsearch.training.batched.run import BatchRun
from hpsearch.training.batched.scalars import copy_loss
from hpsearch.training.batched.table_cache import MAX_TABLES, TableCache
from hpsearch.training.batched.template import (
    MAX_TEMPLATES,
    RecentDict,
    Template,
    estimate_epoch_seconds,
)
from hpsearch.training.fit import FitTrainer
from hpsearch.training.fold_preprocessing import choose_split, choose_splits
from hpsearch.training.garbage import paused_garbage_collection
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.rows import make_model_spec, prepare_rows, validation_batch_size

log = logging.getLogger(__name__)

_MOST_SPECS = 1024  # of splits: where preprocessing is searched, each point may have its own
_WORTH_MEASURING = 30.0  # seconds of training, from which batch sizes are tried out


@dataclass(eq=False)
class BatchedTrainer:
    """Trains fits of one structure and loss side by side.

    A fit that cannot be trained so is trained by `fit`, and the log says why.

    Args:
        task: what is learned.
        strict: refuse such a fit instead.
        max_members: models of a batch, at most.
        chunk: epochs per call of the program; None: what takes about half a second.
        shared: a folder of this run and data, where workers share what one of them computes.
    """

    task: Task
    strict: bool = False
    max_members: int = 256
    chunk: int | None = None
    shared: Path | None = None
    _specs: RecentDict[ModelSpec] = field(default_factory=lambda: RecentDict(_MOST_SPECS))
    # By template: members of a batch, where measured or learned from lack of memory; 0: by `fit`.
    _sizes: RecentDict[int] = field(default_factory=lambda: RecentDict(MAX_TEMPLATES))
    _warned: set[str] = field(default_factory=set)
    _bytes_of_fit: int = 1  # of the models tried
    _epoch_seconds: float = 0.0  # likewise
    # While models are built, the rows of the split of the last one that adapted a layer to them.
    _last_rows: tuple[Split, Inputs] | None = None
    _tables: TableCache = field(init=False)

    def __post_init__(self) -> None:
        use_all_cores()
        self._tables = TableCache(self.task, self.shared)

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) as fits end; whatever `build` raises passes through."""
        waiting = dict(enumerate(choose_splits(self.task, fits)))
        seconds = dict.fromkeys(range(len(fits)), 0.0)
        reached: dict[int, int] = {}
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            while waiting:
                again: dict[int, Fit] = {}
                for index, fit, curve, has_phase_left in self._train_phase(
                    waiting, reached, data, folder
                ):
                    seconds[index] += curve.seconds
                    if has_phase_left:  # it continues from its checkpoint, in its next phase
                        again[index], reached[index] = fit, len(curve.validation)
                    else:
                        yield index, replace(curve, seconds=seconds[index])
                waiting = again

    def _train_phase(
        self, fits: Mapping[int, Fit], reached: Mapping[int, int], data: Data, folder: str
    ) -> Iterator[tuple[int, Fit, Curve, bool]]:
        """Train fits to the end of the phase that they are in, or, by `fit`, to their own end.

        Args:
            fits: by index.
            reached: the epochs that some were trained to in earlier phases.
            data: the task's.
            folder: for checkpoints from which fits without their own go on in their next phase.

        Yields (index, fit, curve, whether it has a phase left).
        """
        # Build all models, and set aside those that only `fit` can train.
        waiting: list[BatchMember] = []
        alone: dict[int, Fit] = {}
        for index, fit in fits.items():
            spec = self._model_spec(fit, data)
            with paused_garbage_collection():
                member = BatchMember.build(index, fit, spec, self.task.recorded)
            member.keep_for_next_phase(folder)
            if member.history.epochs < reached.get(index, 0):
                alone[index] = member.fit  # its checkpoint was lost, and `fit` needs none
            elif why := self._why_not_side_by_side(member, data):
                self._warn_once(self._refuse(why))
                alone[index] = member.fit
            elif member.history.has_ended:  # its parent ended because its patience did
                if fit.checkpoint_out is not None and not fit.checkpoint_out.exists():
                    member.save_checkpoint(member.initial_state())
                yield index, fit, member.to_curve(), False
            else:
                waiting.append(member)
        self._last_rows = None

        with _compiler_thread() as compiler:
            # Start to compile all programs: while one group trains, those of others are compiled.
            specs = [self._describe_rows(member.fit, data) for member in waiting]
            most_bytes = most_bytes_of_rows(device_bytes())
            groups = [
                group
                for members in group_by_rows(waiting, specs, most_bytes)
                for group in PROGRAMS.templates.assign_members(members)
            ]
            # No more of them than there are tables kept, where each has its own.
            early = len(groups) if not self.task.preprocessing_parameters else MAX_TABLES
            for template, members in groups[:early]:
                if size := self._known_size(template, members, is_used=False):
                    batch = next(split_evenly(members, size))
                    self._get_program(template, batch, distinct_splits(batch), data, compiler)

            # Train one group after the other; what does not compile is left to `fit`.
            for template, members in groups:
                left = {member.index: member.fit for member in members}
                try:
                    size, first = self._choose_size(template, members, data)
                    if size:
                        for member in self._train_group(template, members, size, data, first):
                            del left[member.index]
                            has_phase_left = member.history.has_phase_left
                            yield member.index, member.fit, member.to_curve(), has_phase_left
                except _NotCompiled as error:
                    self._warn_once(self._refuse(str(error)))
                    self._sizes[template.key] = 0  # it would not compile for later trials either
                alone |= left

        # Train the others by `fit`.
        places = sorted(alone)
        for place, curve in FitTrainer(self.task).train([alone[i] for i in places], data):
            yield places[place], alone[places[place]], curve, False

    def _train_group(
        self,
        template: Template,
        members: Sequence[BatchMember],
        size: int,
        data: Data,
        first: BatchRun | None = None,
    ) -> Iterator[BatchMember]:
        """Yield members of one template as they end.

        Args:
            template: whose structure they have.
            members: those to train.
            size: members of a batch, at most.
            data: the task's.
            first: the first batch, if it has been started.
        """
        batches = list(split_evenly(members, size))
        while batches:
            batch = batches.pop(0)
            for member in batch:
                member.program = template.name
            ended: set[int] = set()
            try:
                if first is None or first.members != batch:
                    first = self._start_batch(template, batch, data)
                for member in first.train():
                    ended.add(member.index)
                    yield member
            except Exception as error:
                # Split all that remain anew: later batches would run out of memory too.
                size = self._halve_after_oom(template, batch, error)
                left = [member for member in batch if member.index not in ended]
                again = self._rebuild_members(template, left, data)
                again += [member for later in batches for member in later]
                batches, first = list(split_evenly(again, size)), None

    def _halve_after_oom(
        self, template: Template, members: Sequence[BatchMember], error: Exception
    ) -> int:
        """Half as many members, where memory ran out; raises any other error again."""
        if not is_out_of_memory(error) or len(members) == 1:
            raise error
        half = self._sizes[template.key] = len(members) // 2
        log.warning(
            "memory is too small for %d models side by side; going on with %d", len(members), half
        )
        return half

    def _rebuild_members(
        self, template: Template, members: Sequence[BatchMember], data: Data
    ) -> list[BatchMember]:
        """Build these members again: as they were at first, or at their last checkpoint."""
        rebuilt = []
        for member in members:
            spec = self._model_spec(member.fit, data)
            again = BatchMember.build(member.index, member.fit, spec, self.task.recorded)
            template.set_layout(again)
            rebuilt.append(again)
        return rebuilt

    def _known_size(
        self, template: Template, members: Sequence[BatchMember], *, is_used: bool
    ) -> int:
        """Members of a batch, as far as it is known without measuring; 0: train by `fit`.

        Args:
            is_used: whether they will be trained now by batches of this size.
        """
        size = self._sizes.get(template.key, _members_in_cache(template))
        size = min(self.max_members, len(members), size)
        if not size:
            return 0
        splits = distinct_splits(members)
        # A smaller program may be there, that trains them some at a time.
        places = self._choose_places(template, members[:size], splits, fewest=1, is_used=is_used)
        return min(size, places)

    def _choose_size(
        self, template: Template, members: Sequence[BatchMember], data: Data
    ) -> tuple[int, BatchRun | None]:
        """Members of a batch with which all are trained soonest; 0: by `fit`. And the first batch.

        Where training takes long, measure it: a few steps with batches of several sizes, and by
        `fit`.
        """
        size = self._known_size(template, members, is_used=True)
        if template.key in self._sizes:
            return size, None

        # Seconds of a model, by members of a batch.
        epochs = statistics.fmean(member.history.epochs_left for member in members)
        batch = next(split_evenly(members, size))
        try:
            run = self._start_batch(template, batch, data)
            seconds = {len(batch): epochs * run.measure_epoch_seconds() / len(batch)}
        except Exception as error:
            return self._halve_after_oom(template, batch, error), None
        if seconds[len(batch)] * len(members) < _WORTH_MEASURING:
            return size, run

        # Try a quarter as many, as long as that is faster.
        while smaller := min(seconds) // 4:
            smaller_run = self._start_batch(template, members[:smaller], data)
            seconds[smaller] = epochs * smaller_run.measure_epoch_seconds() / smaller
            if seconds[smaller] > 0.9 * min(seconds.values()):
                break
        if not self.strict:
            before, of_epoch = FitTrainer(self.task).measure_seconds(members[0].fit, data)
            seconds[0] = before + epochs * of_epoch
        best = min(seconds, key=lambda size: seconds[size])
        log.info(
            "seconds of a model, by the number of models side by side: %s",
            ", ".join(f"{size or 'fit'}: {each:.3g}" for size, each in seconds.items()),
        )
        self._sizes[template.key] = best
        return best, run

    def probe(
        self,
        build: Build,
        points: Iterable[Params],
        split: Split,
        data: Data,
        *,
        most_epochs: int = 1,
        callbacks: Callbacks | None = None,
    ) -> str | None:
        """As `FitTrainer.probe`; refuses, if strict, also what cannot be trained side by side."""
        points = list(points)
        how: dict[str, Any] = {"most_epochs": most_epochs, "callbacks": callbacks}
        FitTrainer(self.task).probe(build, points, split, data, **how)
        fit = Fit(
            build, points[0], choose_split(self.task, split, points[0]), seed=0, epochs=1, **how
        )
        spec = self._model_spec(fit, data)
        member = BatchMember.build(0, fit, spec, self.task.recorded)
        bytes_ = _count_bytes(member.model, member.model.optimizer.variables)
        self._bytes_of_fit = max(self._bytes_of_fit, bytes_)
        if (why := self._why_not_side_by_side(member, data)) is None:
            self._epoch_seconds = estimate_epoch_seconds(member)
            return None
        remark = self._refuse(why)
        self._warned.add(remark)  # the caller shows it
        return remark

    @property
    def max_concurrent_fits(self) -> int:
        return min(self.max_members, self.fits_in_memory)

    @property
    def fits_in_memory(self) -> int:
        return max(1, free_bytes() // self._bytes_of_fit)

    @property
    def epoch_seconds(self) -> float:
        return self._epoch_seconds

    def _refuse(self, why: str) -> str:
        """Raise BuildError if strict; else return the warning that `fit` trains the models."""
        if self.strict:
            raise BuildError(
                f"--engine gang cannot train this model: {why}; use --engine fit, or auto"
            )
        return f"models are trained one after the other, by fit: {why}"

    def _why_not_side_by_side(self, member: BatchMember, data: Data) -> str | None:
        """Why this member, on these rows, cannot train side by side; None where it can."""
        return _why_not_side_by_side(member) or why_too_large(
            self.task, data, member.fit.split, member.frozen
        )

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.warning("%s", text)

    def _model_spec(self, fit: Fit, data: Data) -> ModelSpec:
        spec = self._describe_rows(fit, data)
        return replace(
            spec,
            loss=copy_loss(spec.loss),
            metrics=metrics.make_metrics(self.task),
            rows=len(fit.split.train),
            batch_size=batch_size(fit.params),
            epochs=fit.most_epochs or fit.epochs,
            adapter=LayerAdapter(partial(self._training_rows, fit.split, data)),
        )

    def _describe_rows(self, fit: Fit, data: Data) -> ModelSpec:
        """A spec with what is known of a split's rows, the same for all fits on them."""
        # Without preprocessing, rows have one shape in all splits.
        key = fit.split if self.task.prepares_each_split else None
        if key not in self._specs:
            rows = prepare_rows(self.task, data, fit.split)
            spec = make_model_spec(self.task, rows, data.y, [], fit)
            self._specs[key] = replace(spec, adapter=None)  # which holds the rows
        return self._specs[key]

    def _training_rows(self, split: Split, data: Data) -> Inputs:
        """The prepared rows of a split, for layers that are adapted to them; the last are kept."""
        if self._last_rows is None or self._last_rows[0] is not split:
            self._last_rows = split, prepare_rows(self.task, data, split).x
        return self._last_rows[1]

    def _start_batch(
        self, template: Template, members: Sequence[BatchMember], data: Data
    ) -> BatchRun:
        """Put members on the device, and wait for their program.

        Raises MemoryError where it needs too much memory, _NotCompiled where it does not compile.
        """
        # Of all members, also when some have ended: the rows on the device stay the same.
        splits = distinct_splits(members)

        def get_compiled(some: Sequence[BatchMember]) -> tuple[Program, DeviceTable]:
            compiling, table = self._get_program(template, some, splits, data)
            try:
                program = compiling.result()
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise _NotCompiled(f"its step is not compiled ({first_line(error)})") from error
            if program.bytes > free_bytes() and len(some) > 1:
                raise MemoryError(f"{program.bytes:,} bytes are wanted")
            return program, table

        # A part of the rows, as validation rows are, must not change the kind of the task.
        return BatchRun(
            self.task.with_kind_of(data.y),
            members,
            get_compiled,
            partial(self._choose_places, template, splits=splits, is_used=False),
            self.chunk,
        )

    def _get_program(
        self,
        template: Template,
        members: Sequence[BatchMember],
        splits: tuple[Split, ...],
        data: Data,
        compiler: ThreadPoolExecutor | None = None,
    ) -> tuple[Future[Program], DeviceTable]:
        """The program for some members, and the rows that it trains them on."""
        places = self._choose_places(template, members, splits, is_used=compiler is None)
        table = self._tables.get_table(splits, members[0].frozen, data, table_sharding(places))
        return PROGRAMS.get_program(self.task, template, members, table, places, compiler), table

    def _choose_places(
        self,
        template: Template,
        members: Sequence[BatchMember],
        splits: tuple[Split, ...],
        *,
        fewest: int | None = None,
        is_used: bool,
    ) -> int:
        """As `ProgramCache.choose_places`, for members that are trained on these splits' rows.

        Args:
            fewest: places; None: for all of these members.
        """
        signature = self._tables.find_signature(splits, members[0].frozen)
        if signature is None:  # nothing was compiled for these rows yet
            return round_up_members(len(members))
        # None that is larger than was found best, or than memory holds.
        size = self._sizes.get(template.key) or self.max_members
        most = round_up_members(max(size, len(members)))
        return PROGRAMS.choose_places(
            self.task,
            template,
            members,
            signature,
            fewest=fewest or len(members),
            most=most,
            is_used=is_used,
        )


class _NotCompiled(Exception):
    """Keras or JAX refused to compile a program; `fit` may be able to train the model."""


def split_evenly(
    members: Sequence[BatchMember], max_members: int
) -> Iterator[Sequence[BatchMember]]:
    """Cut members into batches of about one size, so that one program serves all.

    >>> [len(batch) for batch in split_evenly(range(9), 4)]
    [3, 3, 3]
    """
    batches = -(-len(members) // max_members)
    size = -(-len(members) // batches)
    return (members[start : start + size] for start in range(0, len(members), size))


def _why_not_side_by_side(member: BatchMember) -> str | None:
    """Why this member cannot train side by side with others; None where it can."""
    why = why_not_batchable(member.model)
    if why:
        return why
    for metric in member.history.metrics:
        if why := why_metric_differs(member.model, metric.own_name):
            return why
    # Rows that mix only matter where a last minibatch is filled up.
    held_out = len(member.fit.split.validation)
    fills_validation = held_out % validation_batch_size(held_out)
    if not (fills_validation or member.rows % member.batch_size):
        return None
    if (why := why_rows_mix(member.model)) is None:
        return None
    way_out = "" if fills_validation else "; a batch_size that divides the training rows avoids it"
    return f"{why}, and the last batch is filled up{way_out}"


def _members_in_cache(template: Template) -> int:
    """How many members' weights, gradients and optimizer state half of the processor's cache holds.

    More of them train more slowly on a CPU: each step would fetch all from memory. The other half
    is for rows and activations, and for whatever else runs. Three layers of 256 units, 2.1 MB with
    all that belongs to them, took 0.42 s each for 81 epochs of Boston by 4 or 8 of them in 32 MB,
    0.54 s by 16, and 0.68 s by 24.
    """
    bytes_ = _count_bytes(template.model, template.optimizers.variables)
    return max(len(jax.local_devices()), cache_bytes() // 2 // bytes_)


def _count_bytes(model: Any, slots: Iterable[Any]) -> int:
    """Bytes of a model's variables, its gradients and its optimizer's slots."""
    variables = [*model.variables, *model.trainable_variables, *slots]
    sizes = (math.prod(v.shape) * np.dtype(str(v.dtype)).itemsize for v in variables)
    return max(1, int(sum(sizes)))


@contextlib.contextmanager
def _compiler_thread() -> Iterator[ThreadPoolExecutor]:
    compiler = ThreadPoolExecutor(1, "compiler")
    try:
        yield compiler
    finally:
        compiler.shutdown(wait=False, cancel_futures=True)
