"""Start batches: of how many members, in which program, with their rows on the device."""

import logging
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import first_line, is_out_of_memory
from hpsearch.core.task import Task
from hpsearch.training.base import Split
from hpsearch.training.batched.device_data import DeviceTable
from hpsearch.training.batched.grouping import distinct_splits
from hpsearch.training.batched.hardware import cache_bytes, free_bytes
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.program import PROGRAMS, Program, table_sharding
from hpsearch.training.batched.program_spec import round_up_members
from hpsearch.training.batched.run import BatchRun
from hpsearch.training.batched.table_cache import TableCache
from hpsearch.training.batched.template import MAX_TEMPLATES, RecentDict, Template
from hpsearch.training.fit import FitTrainer

log = logging.getLogger(__name__)

_WORTH_MEASURING = 30.0  # seconds of training, from which batch sizes are tried out


class NotCompiled(Exception):
    """Keras or JAX refused to compile a program; `fit` may be able to train the model."""


@dataclass(eq=False)
class BatchStarter:
    """Starts batches, and remembers of how many members they should be.

    Args:
        task: what is learned.
        strict: train none of them by `fit`.
        max_members: models of a batch, at most.
        chunk: epochs per call of the program; None: what takes about half a second.
        tables: the rows on the devices.
    """

    task: Task
    strict: bool
    max_members: int
    chunk: int | None
    tables: TableCache
    # By template: members of a batch, where measured or learned from lack of memory; 0: by `fit`.
    _sizes: RecentDict[int] = field(default_factory=lambda: RecentDict(MAX_TEMPLATES))
    # Likewise, how many there were to measure with, where more may be better.
    _tried: RecentDict[int] = field(default_factory=lambda: RecentDict(MAX_TEMPLATES))

    def halve_after_oom(
        self, template: Template, members: Sequence[BatchMember], error: Exception
    ) -> int:
        """Half as many members, where memory ran out; raises any other error again."""
        if not is_out_of_memory(error) or len(members) == 1:
            raise error
        half = self._sizes[template.key] = len(members) // 2
        self._tried.pop(template.key, None)
        log.warning(
            "memory is too small for %d models side by side; going on with %d", len(members), half
        )
        return half

    def known_size(
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

    def choose_size(
        self, template: Template, members: Sequence[BatchMember], data: Data
    ) -> tuple[int, BatchRun | None]:
        """Members of a batch with which all are trained soonest; 0: by `fit`. And the first batch.

        Where training takes long, measure it: a few steps with batches of several sizes, and by
        `fit`.
        """
        if len(members) > 2 * self._tried.get(template.key, len(members)):
            for known in (self._sizes, self._tried):  # by many more, it is open
                known.pop(template.key, None)
        size = self.known_size(template, members, is_used=True)
        if template.key in self._sizes:
            return size, None

        # Seconds of a model, by members of a batch.
        epochs = statistics.fmean(member.history.epochs_left for member in members)
        batch = next(split_evenly(members, size))
        try:
            run = self.start_batch(template, batch, data)
            seconds = {len(batch): epochs * run.measure_epoch_seconds() / len(batch)}
        except Exception as error:
            return self.halve_after_oom(template, batch, error), None
        if seconds[len(batch)] * len(members) < _WORTH_MEASURING:
            return size, run

        # Try a quarter as many, as long as that is faster.
        try:
            while smaller := min(seconds) // 4:
                smaller_run = self.start_batch(template, members[:smaller], data)
                seconds[smaller] = epochs * smaller_run.measure_epoch_seconds() / smaller
                if seconds[smaller] > 0.9 * min(seconds.values()):
                    break
            if not self.strict:
                before, of_epoch = FitTrainer(self.task).measure_seconds(members[0].fit, data)
                seconds[0] = before + epochs * of_epoch
        except Exception as error:  # a timing fails no trial: what was measured decides
            log.info("no more was measured: %s", first_line(error))
        best = min(seconds, key=lambda size: seconds[size])
        log.info(
            "seconds of a model, by the number of models side by side: %s",
            ", ".join(f"{size or 'fit'}: {each:.3g}" for size, each in seconds.items()),
        )
        self._sizes[template.key] = best
        if len(batch) == len(members) and best in (len(batch), 0):
            self._tried[template.key] = len(members)
        return best, run

    def start_batch(
        self, template: Template, members: Sequence[BatchMember], data: Data
    ) -> BatchRun:
        """Put members on the device, and wait for their program.

        Raises MemoryError where it needs too much memory, NotCompiled where it does not compile.
        """
        # Of all members, also when some have ended: the rows on the device stay the same.
        splits = distinct_splits(members)

        def get_compiled(some: Sequence[BatchMember]) -> tuple[Program, DeviceTable]:
            compiling, table = self.get_program(template, some, splits, data)
            try:
                program = compiling.result()
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise NotCompiled(f"its step is not compiled ({first_line(error)})") from error
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

    def get_program(
        self,
        template: Template,
        members: Sequence[BatchMember],
        splits: tuple[Split, ...],
        data: Data,
        compiler: ThreadPoolExecutor | None = None,
    ) -> tuple[Future[Program], DeviceTable]:
        """The program for some members, and the rows that it trains them on."""
        places = self._choose_places(template, members, splits, is_used=compiler is None)
        table = self.tables.get_table(splits, members[0].frozen, data, table_sharding(places))
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
        signature = self.tables.find_signature(splits, members[0].frozen)
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

    def leave_to_fit(self, template: Template) -> None:
        """Start no batch of this template any more: it would not compile for later trials either."""
        self._sizes[template.key] = 0
        self._tried.pop(template.key, None)


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


def _members_in_cache(template: Template) -> int:
    """How many members' weights, gradients and optimizer state half of the processor's cache holds.

    More of them train more slowly on a CPU: each step would fetch all from memory. The other half
    is for rows and activations, and for whatever else runs. Three layers of 256 units, 2.1 MB with
    all that belongs to them, took 0.42 s each for 81 epochs of Boston by 4 or 8 of them in 32 MB,
    0.54 s by 16, and 0.68 s by 24.
    """
    bytes_ = count_bytes(template.model, template.optimizers.variables)
    return max(len(jax.local_devices()), cache_bytes() // 2 // bytes_)


def count_bytes(model: Any, slots: Iterable[Any]) -> int:
    """Bytes of a model's variables, its gradients and its optimizer's slots."""
    variables = [*model.variables, *model.trainable_variables, *slots]
    sizes = (math.prod(v.shape) * np.dtype(str(v.dtype)).itemsize for v in variables)
    return max(1, int(sum(sizes)))
