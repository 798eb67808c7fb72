"""A gang in training: its members' state on the device, a chunk of epochs after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hpsearch.core import interrupt
from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.batched.device_data import Table
from hpsearch.training.batched.member import Member, next_size
from hpsearch.training.batched.program import Program
from hpsearch.training.batched.program_spec import Limits
from hpsearch.training.rows import order

_CHUNK_SECONDS = 0.5  # what a call is to take: curves come back, and wishes are heard, as often
_NEVER = 2**30

ProgramFor = Callable[[Sequence[Member]], tuple[Program, Table]]


class Gang:
    """Members that train side by side until each has ended.

    program_for: the program for some members, compiled now or before, and the rows it trains them
    on. chunk: epochs of a call; None: what takes about half a second.
    """

    def __init__(
        self,
        task: Task,
        members: Sequence[Member],
        program_for: ProgramFor,
        chunk: int | None = None,
    ) -> None:
        self._task, self._program_for = task, program_for
        self._chunk = chunk
        self._epoch_seconds = 0.0
        self._orders: dict[tuple[Member, int], Any] = {}
        self._running: list[Member] = []
        self._line_up(members, [member.state() for member in members])

    def train(self) -> Iterator[Member]:
        """Yield members as they end. Raises Interrupted, with checkpoints left."""
        while self._running:
            self._train_chunk()
            ended = [member for member in self._running if member.history.ended]
            stop = len(ended) < len(self._running) and interrupt.is_requested()
            self._save([m for m in self._running if stop or m.history.ended or m.history.due])
            yield from ended
            self._running = [member for member in self._running if not member.history.ended]
            if stop:
                epochs = min(member.history.epochs for member in self._running)
                raise interrupt.Interrupted(f"stopped after epoch {epochs}")
            self._close_ranks()

    @property
    def members(self) -> list[Member]:
        return self._members

    def seconds(self, steps: int) -> float:
        """What so many steps of an epoch take, and its validation; nothing is trained by it."""
        state = jax.tree.map(jnp.copy, self._state)
        order, limits = self._order(1), self._limits()
        begun = time.perf_counter()
        _, values, _ = self._call(state, order, limits, epochs=1, steps=steps)
        jax.block_until_ready(values)
        return time.perf_counter() - begun

    def seconds_an_epoch(self) -> float:
        """What a whole epoch would take, by a part of it."""
        steps = self._program.shape.steps
        few = max(1, min(steps // 32, int(_CHUNK_SECONDS / self.seconds(1))))
        first = min(self.seconds(few) for _ in range(2))
        second = min(self.seconds(2 * few) for _ in range(2))
        return first + max(0.0, second - first) / few * (steps - few)

    def _line_up(self, members: Sequence[Member], states: Sequence[Any]) -> None:
        """Put members' state on the device; the first one stands in for those who are missing."""
        begun = time.perf_counter()
        self._running = list(members)
        self._program, self._table = program, _ = self._program_for(members)
        self._places = [*range(len(members))] + [0] * (program.shape.members - len(members))
        self._state = program.put_state(
            jax.tree.map(lambda *arrays: np.stack([arrays[i] for i in self._places]), *states)
        )
        self._line_up_data(members)
        for member in members:  # to compile is part of what they take
            member.seconds += (time.perf_counter() - begun) / len(members)

    def _line_up_data(self, members: Sequence[Member]) -> None:
        program, shape = self._program, self._program.shape
        self._members = list(members)
        numbers = np.array([members[i].placing.numbers for i in self._places], np.float32)
        extents = np.array([members[i].placing.extents for i in self._places], np.int32)
        self._traits = program.put_state(
            (numbers.reshape(shape.members, -1), extents.reshape(shape.members, -1))
        )
        rows = [self._validation_rows(member) for member in members]
        validation = np.stack([rows[i] for i in self._places], axis=1)
        validation = validation[:, 0] if shape.one_validation else validation
        self._validation = program.put_validation(validation)

    def _close_ranks(self) -> None:
        """Go on in a smaller gang, where that saves more than it takes to compile it."""
        size = self._program.shape.members
        fewer = next_size(len(self._running))
        if not self._running or fewer > size // 2:
            return
        epochs = max(member.history.left for member in self._running)
        saved = epochs * self._epoch_seconds * (1 - fewer / size)
        if saved < 2 * self._program.seconds_to_compile:
            return
        self._line_up(self._running, self._states(self._running))

    def _train_chunk(self) -> None:
        shape = self._program.shape
        epochs = self._epochs()
        begun = time.perf_counter()
        self._state, values, predictions = self._call(
            self._state, self._order(epochs), self._limits(), epochs=epochs
        )
        self._orders.clear()
        self._draw_orders(epochs, after=epochs)
        values = np.array(values, np.float64)  # waits for it
        seconds = time.perf_counter() - begun
        if shape.predicts:
            self._add_metric(values, np.asarray(predictions))
        self._epoch_seconds = seconds / epochs
        for place, member in enumerate(self._members):
            if member in self._running:
                member.seconds += seconds / len(self._running)
                for epoch in range(epochs):
                    if not member.history.ended:
                        member.history.add(values[epoch, place])

    def _call(
        self, state: Any, order: Any, limits: Limits, *, epochs: int, steps: int | None = None
    ) -> tuple[Any, Any, Any]:
        return self._program(
            state,
            self._traits,
            self._validation,
            self._table,
            order,
            limits,
            epochs=epochs,
            steps=steps,
        )

    def _epochs(self) -> int:
        """How many to train in the next call: none but the last of a member may be past its end."""
        histories = [member.history for member in self._running]
        if self._chunk is not None:
            wanted = self._chunk
        elif self._epoch_seconds:
            wanted = int(_CHUNK_SECONDS / self._epoch_seconds)
        else:
            wanted = 1  # the first tells how long one takes
        longest = max(history.left for history in histories)
        due = min(history.epochs_to_checkpoint for history in histories)
        return max(1, min(wanted, longest, due, self._program.shape.chunk))

    def _limits(self) -> Limits:
        left, best, since, patience = [], [], [], []
        for index, place in enumerate(self._places):
            member = self._members[place]
            history, runs = member.history, index == place and member in self._running
            left.append(history.left if runs else 0)
            best.append(history.best_loss)
            since.append(history.since_best)
            wanted = None if self._program.shape.predicts else history.fit.patience
            patience.append(_NEVER if wanted is None else wanted)
        types = np.int32, np.float32, np.int32, np.int32
        columns = zip((left, best, since, patience), types, strict=True)
        return Limits(*[np.array(column, type_) for column, type_ in columns])

    def _order(self, epochs: int) -> Any:
        """Row numbers of shape (chunk, steps, members, batch), -1 where a batch has no more."""
        shape = self._program.shape
        self._draw_orders(epochs)
        drawn = np.full((shape.chunk, shape.steps, shape.members, shape.batch), -1, np.int32)
        for place, member in enumerate(self._members):
            begun = member.history.epochs
            for epoch in range(begun, begun + epochs):
                if (batches := self._orders.get((member, epoch))) is not None:
                    drawn[epoch - begun, :, 0 if shape.one_order else place] = batches
        return drawn[:, :, 0] if shape.one_order else drawn

    def _draw_orders(self, epochs: int, after: int = 0) -> None:
        """Draw the orders of rows of the epochs that come; also while the device is at work."""
        shape = self._program.shape
        drawn = self._running
        if shape.one_order:
            drawn = [max(self._running, key=lambda member: member.history.left)]
        for member in drawn:
            rows = self._table.train(member.fit.split)
            begin = member.history.epochs + after
            for epoch in range(begin, min(begin + epochs, member.fit.epochs)):
                if (member, epoch) not in self._orders:
                    in_order = rows[order(member.fit, epoch)]
                    batches = in_batches(in_order, member.batch, shape.steps, shape.batch)
                    self._orders[member, epoch] = batches

    def _validation_rows(self, member: Member) -> Any:
        """Row numbers of shape (steps, batch); the training rows come first where predictions tell
        the metric.
        """
        shape, split = self._program.shape, member.fit.split
        rows = self._table.validation(split)
        batch, steps = shape.validation_batch, shape.validation_steps - shape.predicts
        batches = in_batches(rows, batch, steps, batch)
        if shape.predicts:
            training = in_batches(self._table.train(split), batch, shape.predicts, batch)
            batches = np.concatenate([training, batches])
        return batches

    def _add_metric(self, values: Any, predictions: Any) -> None:
        """Compute the metric from predictions of shape (steps, members, batch, outputs)."""
        steps, y = self._program.shape.predicts, np.asarray(self._table.y)
        for place, member in enumerate(self._members):
            if member in self._running:
                rows = self._validation_rows(member)
                for column, part in enumerate((slice(None, steps), slice(steps, None))):
                    real = rows[part] >= 0
                    predicted = predictions[part, place][real]
                    values[0, place, column] = metrics.roc_auc(predicted, y[rows[part][real]])

    def _save(self, members: Sequence[Member]) -> None:
        """Leave checkpoints of those who wish to have one."""
        members = [m for m in members if m.fit.checkpoint_out and m.history.failure is None]
        for member, state in zip(members, self._states(members), strict=True):
            member.save(state)

    def _states(self, members: Sequence[Member]) -> list[Any]:
        """The members' states, from the device."""
        if not members:
            return []
        state = jax.device_get(self._state)
        places = [self._members.index(member) for member in members]
        return [jax.tree.map(lambda array, place=place: array[place], state) for place in places]


def in_batches(rows: Any, size: int, steps: int, width: int) -> Any:
    """Row numbers, `size` a step, as an array of shape (steps, width) filled up with -1.

    >>> in_batches(np.arange(5), 2, 4, 3).tolist()
    [[0, 1, -1], [2, 3, -1], [4, -1, -1], [-1, -1, -1]]
    """
    filled = np.full(steps * size, -1, np.int32)
    filled[: len(rows)] = rows
    batches = filled.reshape(steps, size)
    return np.pad(batches, ((0, 0), (0, width - size)), constant_values=-1)
