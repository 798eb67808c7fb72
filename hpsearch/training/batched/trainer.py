"""The trainer that trains many fits side by side, as one compiled program, on JAX."""

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.training.base import Build, Callbacks, Fit, Split
from hpsearch.training.batched.batch_starter import (
    BatchStarter,
    NotCompiled,
    count_bytes,
    split_evenly,
)
from hpsearch.training.batched.batchable import why_not_side_by_side
from hpsearch.training.batched.deadline import NoneInTime
from hpsearch.training.batched.device_data import why_too_large
from hpsearch.training.batched.grouping import distinct_splits, group_by_rows
from hpsearch.training.batched.hardware import (
    count_compilers,
    device_bytes,
    free_bytes,
    use_all_cores,
)
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.member_builder import MemberBuilder
from hpsearch.training.batched.program import PROGRAMS
from hpsearch.training.batched.run import BatchRun
from hpsearch.training.batched.table_cache import MAX_TABLES, TableCache
from hpsearch.training.batched.template import (
    Template,
    estimate_epoch_seconds,
)
from hpsearch.training.fit import FitTrainer
from hpsearch.training.fold_preprocessing import choose_split, choose_splits

log = logging.getLogger(__name__)

_Group = tuple[Template, Sequence[BatchMember]]
"""Members of one template."""


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
    _warned: set[str] = field(default_factory=set)
    _bytes_of_fit: int = 1  # of the models tried
    _epoch_seconds: float = 0.0  # likewise
    _members: MemberBuilder = field(init=False)
    _batches: BatchStarter = field(init=False)

    def __post_init__(self) -> None:
        use_all_cores()
        self._members = MemberBuilder(self.task)
        tables = TableCache(self.task, self.shared)
        self._batches = BatchStarter(self.task, self.strict, self.max_members, self.chunk, tables)

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
            member = self._members.build(index, fit, data)
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
        self._members.forget_rows()

        with _compiler_threads() as compiler:
            # Start to compile all programs: while one group trains, those of others are compiled.
            groups = self._group_members(waiting, data)
            self._start_compiling(groups, data, compiler)

            # Train one group after the other, and then by `fit` what does not compile. Groups of
            # which no member would end before the deadline wait until all others have ended.
            may_wait = True
            while groups or alone:
                late: list[_Group] = []
                for number, (template, members) in enumerate(groups, 1):
                    left = {member.index: member.fit for member in members}
                    waits = late if may_wait and (alone or number < len(groups)) else None
                    try:
                        size, first = self._batches.choose_size(template, members, data)
                        if size:
                            ended = self._train_group(template, members, size, data, first, waits)
                            for member in ended:
                                del left[member.index]
                                has_phase_left = member.history.has_phase_left
                                yield member.index, member.fit, member.to_curve(), has_phase_left
                    except NotCompiled as error:
                        self._warn_once(self._refuse(str(error)))
                        self._batches.leave_to_fit(template)
                    alone |= left
                for _, members in late:
                    for member in members:
                        del alone[member.index]
                yield from self._train_by_fit(alone, data)
                groups, alone, may_wait = late, {}, False

    def _train_by_fit(
        self, fits: Mapping[int, Fit], data: Data
    ) -> Iterator[tuple[int, Fit, Curve, bool]]:
        """Yield as `_train_phase` does."""
        places = sorted(fits)
        for place, curve in FitTrainer(self.task).train([fits[i] for i in places], data):
            yield places[place], fits[places[place]], curve, False

    def _group_members(self, members: Sequence[BatchMember], data: Data) -> list[_Group]:
        """Members that one program trains, on rows of one table, together."""
        specs = [self._members.describe_rows(member.fit, data) for member in members]
        most_bytes = most_bytes_of_rows(device_bytes())
        return [
            group
            for some in group_by_rows(members, specs, most_bytes)
            for group in PROGRAMS.templates.assign_members(some)
        ]

    def _start_compiling(
        self, groups: Sequence[_Group], data: Data, compiler: ThreadPoolExecutor
    ) -> None:
        """Compile the programs of the first batches, in the order in which they train."""
        # No more of them than there are tables kept, where each has its own.
        early = len(groups) if not self.task.preprocessing_parameters else MAX_TABLES
        for template, members in groups[:early]:
            if size := self._batches.known_size(template, members, is_used=False):
                batch = next(split_evenly(members, size))
                self._batches.get_program(template, batch, distinct_splits(batch), data, compiler)

    def _train_group(
        self,
        template: Template,
        members: Sequence[BatchMember],
        size: int,
        data: Data,
        first: BatchRun | None = None,
        late: list[_Group] | None = None,
    ) -> Iterator[BatchMember]:
        """Yield members of one template as they end.

        Args:
            template: whose structure they have.
            members: those to train.
            size: members of a batch, at most.
            data: the task's.
            first: the first batch, if it has been started.
            late: takes those that remain where none of a batch would end before the deadline; None:
                they go on.
        """
        batches = list(split_evenly(members, size))
        while batches:
            batch = batches.pop(0)
            for member in batch:
                member.program = template.name
            ended: set[int] = set()
            try:
                if first is None or first.members != batch:
                    first = self._batches.start_batch(template, batch, data)
                for member in first.train(may_wait=late is not None):
                    ended.add(member.index)
                    yield member
            except NoneInTime:
                assert late is not None
                left = [member for member in batch if member.index not in ended]
                again = self._rebuild_members(template, left, data)
                late.append((template, again + [member for some in batches for member in some]))
                return
            except Exception as error:
                # Split all that remain anew: later batches would run out of memory too.
                size = self._batches.halve_after_oom(template, batch, error)
                left = [member for member in batch if member.index not in ended]
                again = self._rebuild_members(template, left, data)
                again += [member for later in batches for member in later]
                batches, first = list(split_evenly(again, size)), None

    def _rebuild_members(
        self, template: Template, members: Sequence[BatchMember], data: Data
    ) -> list[BatchMember]:
        """Build these members again: as they were at first, or at their last checkpoint."""
        rebuilt = []
        for member in members:
            again = self._members.build(member.index, member.fit, data)
            template.set_layout(again)
            rebuilt.append(again)
        return rebuilt

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
        member = self._members.build(0, fit, data)
        bytes_ = count_bytes(member.model, member.model.optimizer.variables)
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
        return why_not_side_by_side(member) or why_too_large(
            self.task, data, member.fit.split, member.frozen
        )

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.warning("%s", text)


@contextlib.contextmanager
def _compiler_threads() -> Iterator[ThreadPoolExecutor]:
    compiler = ThreadPoolExecutor(count_compilers(), "compiler")
    try:
        yield compiler
    finally:
        compiler.shutdown(wait=False, cancel_futures=True)
