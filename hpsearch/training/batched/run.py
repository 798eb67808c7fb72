"""Train one batch of models: their state stays on the device, and a few epochs run per call.

"Batch" means models that train side by side; the rows of one step are a "minibatch".
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from hpsearch.core import interrupt
from hpsearch.core.arrays import take_rows
from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.batched.deadline import NoneInTime, choose_in_time
from hpsearch.training.batched.device_data import DeviceTable
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.program import Program
from hpsearch.training.batched.program_spec import EarlyStopping, Traits, round_up_members
from hpsearch.training.history import curve_columns
from hpsearch.training.rows import draw_row_order

# Seconds that one call should take: curves come back, and requests to stop are noticed, as often.
_CHUNK_SECONDS = 0.5
_NEVER = 2**30  # epochs of patience where there is no limit

GetProgram = Callable[[Sequence[BatchMember]], tuple[Program, DeviceTable]]


class BatchRun:
    """Members that train side by side until each has ended.

    Args:
        task: what is learned; its objective is the metric of the curves.
        members: the models to train, all of one structure.
        get_program: returns the program for some members and the rows to train them on.
        choose_places: for how many members this program would be.
        chunk: epochs per call of the program; None: what takes about half a second.
    """

    def __init__(
        self,
        task: Task,
        members: Sequence[BatchMember],
        get_program: GetProgram,
        choose_places: Callable[[Sequence[BatchMember]], int],
        chunk: int | None = None,
    ) -> None:
        self._task, self._get_program, self._choose_places = task, get_program, choose_places
        self._chunk = chunk
        self._epoch_seconds = 0.0  # of the last call; 0 before the first
        self._columns = curve_columns(task.recorded)
        self._measures = metrics.make_measures(task)
        self._orders: dict[tuple[BatchMember, int], Any] = {}  # minibatches, drawn ahead
        self._running: list[BatchMember] = []
        self._postponed: list[tuple[BatchMember, Any]] = []  # with their states
        self._load_members(members, [member.initial_state() for member in members])

    @property
    def members(self) -> list[BatchMember]:
        """The members that lie on the device, whether they have ended or not."""
        return self._members

    def train(self, *, may_wait: bool = False) -> Iterator[BatchMember]:
        """Yield members as they end.

        Args:
            may_wait: whether others could be trained instead, where no member ends in time.

        Raises Interrupted, and NoneInTime where it may wait; both leave checkpoints.
        """
        if self._epoch_seconds:  # of earlier batches
            self._postpone_late_members(may_wait)
        while self._running:
            # Train a few epochs on the device, and add their values to the histories.
            self._train_chunk()
            ended = [member for member in self._running if member.history.has_ended]
            going_on = [member for member in self._running if not member.history.has_ended]

            # Write the checkpoints that are due; all of them, where it must stop.
            unfinished = going_on + [member for member, _ in self._postponed]
            must_stop = bool(unfinished) and interrupt.is_requested()
            self._save_checkpoints(
                [
                    member
                    for member in self._running
                    if must_stop or member.history.has_ended or member.history.is_checkpoint_due
                ]
            )

            # Hand over the members that ended.
            yield from ended
            self._running = going_on
            if must_stop:
                epochs = min(member.history.epochs for member in unfinished)
                raise interrupt.Interrupted(f"stopped after epoch {epochs}")

            # Go on with the others, in a smaller program where that pays: with the first of them,
            # where not all would end before the deadline.
            self._postpone_late_members(may_wait)
            self._shrink_if_faster()
            if not self._running and self._postponed:
                members, states = zip(*self._postponed, strict=True)
                self._postponed = []
                self._load_members(members, states)

    def measure_epoch_seconds(self) -> float:
        """The seconds of an epoch, as earlier ones took, or estimated from a part; trains nothing."""
        if self._epoch_seconds:
            return self._epoch_seconds
        steps = self._program.spec.steps
        state = jax.device_get(self._state)
        few = max(1, min(steps // 32, int(_CHUNK_SECONDS / self._measure_steps(state, 1))))
        first = min(self._measure_steps(state, few) for _ in range(2))
        second = min(self._measure_steps(state, 2 * few) for _ in range(2))
        seconds = first + max(0.0, second - first) / few * (steps - few)
        self._epoch_seconds = self._program.epoch_seconds = seconds
        return seconds

    def _measure_steps(self, state: Any, steps: int) -> float:
        """Seconds of this many steps of an epoch and its validation, on a copy of the state.

        Args:
            state: on the host, where a copy needs no compiled program.
            steps: how many.
        """
        state = jax.block_until_ready(self._program.put_state(jax.tree.map(np.array, state)))
        order, stopping = self._row_orders(1), self._early_stopping()
        start = time.perf_counter()
        _, values, _ = self._call_program(state, order, stopping, epochs=1, steps=steps)
        jax.block_until_ready(values)
        return time.perf_counter() - start

    def _load_members(self, members: Sequence[BatchMember], states: Sequence[Any]) -> None:
        """Get the program for these members, and put all that is theirs on the device."""
        start = time.perf_counter()
        self._members = list(members)
        self._running = list(members)
        self._program, self._table = self._get_program(members)
        self._epoch_seconds = self._program.epoch_seconds
        self._orders.clear()  # they have the shape of another program's minibatches
        waited = time.perf_counter() - start
        for member in members:
            member.compile_seconds += waited / len(members)
        program, spec = self._program, self._program.spec

        # A program has places for a rounded number of members; the first one fills empty places.
        self._places = [*range(len(members))] + [0] * (spec.members - len(members))
        self._state = program.put_state(
            jax.tree.map(lambda *arrays: np.stack([arrays[i] for i in self._places]), *states)
        )

        # What differs between members and never changes: scalars, extents, validation rows.
        scalars = np.array([members[i].layout.scalars for i in self._places], np.float32).T
        extents = np.array([members[i].layout.extents for i in self._places], np.int32)
        kinds = np.array([members[i].layout.kind for i in self._places], np.int32)
        self._traits = program.put_state(
            Traits(list(scalars), extents.reshape(spec.members, -1), kinds)
        )
        rows = [self._validation_rows(member) for member in members]
        validation = np.stack([rows[i] for i in self._places], axis=1)
        validation = validation[:, 0] if spec.shared_validation else validation
        self._validation = program.put_validation(validation)

        # Compiling counts as part of the members' training time.
        for member in members:
            member.seconds += (time.perf_counter() - start) / len(members)

    def _postpone_late_members(self, may_wait: bool) -> None:
        """Leave to later, with checkpoints, those without which the others end in time."""
        spec, left = self._program.spec, interrupt.seconds_left()
        if math.isinf(left) or not self._running:
            return

        def epoch_seconds(count: int) -> float:
            return self._epoch_seconds * round_up_members(count) / spec.members

        left -= self._program.seconds_to_compile
        now = choose_in_time(self._running, epoch_seconds, left)
        if not now and may_wait:
            self._save_checkpoints(self._running)
            raise NoneInTime
        if len(now) in (0, len(self._running)) or self._choose_places(now) >= spec.members:
            return
        later = [member for member in self._running if member not in now]
        self._save_checkpoints(later)
        self._postponed += zip(later, self._fetch_states(later), strict=True)
        self._load_members(now, self._fetch_states(now))

    def _shrink_if_faster(self) -> None:
        """Go on with a smaller program, where one is there or saves more than compiling it takes."""
        half = self._program.spec.members // 2
        if not self._running or round_up_members(len(self._running)) > half:
            return
        if self._choose_places(self._running) <= half:
            self._load_members(self._running, self._fetch_states(self._running))

    def _train_chunk(self) -> None:
        spec = self._program.spec
        epochs = self._choose_epochs()
        start = time.perf_counter()

        # Start the call; JAX returns before the device has finished.
        self._state, values, predictions = self._call_program(
            self._state, self._row_orders(epochs), self._early_stopping(), epochs=epochs
        )

        # Meanwhile draw the row orders of the epochs that follow.
        self._orders.clear()
        self._draw_orders(epochs, skip=epochs)

        # Wait for the values of each epoch and member.
        values = np.array(values, np.float64)
        seconds = time.perf_counter() - start
        if spec.train_predict_steps:
            self._add_predicted_metrics(values, jax.tree.map(np.asarray, predictions))

        # Add them to the histories, up to where each member ended.
        trained = 1  # the device stops when all of them have ended
        for place, member in enumerate(self._members):
            if member in self._running:
                member.seconds += seconds / len(self._running)
                for epoch in range(epochs):
                    if not member.history.has_ended:
                        member.history.add_epoch(values[epoch, place])
                        trained = max(trained, epoch + 1)
        self._epoch_seconds = self._program.epoch_seconds = seconds / trained

    def _call_program(
        self,
        state: Any,
        order: Any,
        stopping: EarlyStopping,
        *,
        epochs: int,
        steps: int | None = None,
    ) -> tuple[Any, Any, Any]:
        return self._program(
            state,
            self._traits,
            self._validation,
            self._table,
            order,
            stopping,
            epochs=epochs,
            steps=steps,
        )

    def _choose_epochs(self) -> int:
        """How many epochs to train in the next call.

        Not beyond the longest member's end, nor beyond the next checkpoint of any.
        """
        histories = [member.history for member in self._running]
        if self._chunk is not None:
            wanted = self._chunk
        elif self._epoch_seconds:
            wanted = int(_CHUNK_SECONDS / self._epoch_seconds)
        else:
            wanted = 1  # the first call measures how long an epoch takes
        longest = max(history.epochs_left for history in histories)
        due = min(history.epochs_until_checkpoint for history in histories)
        return max(1, min(wanted, longest, due, self._program.spec.max_epochs))

    def _early_stopping(self) -> EarlyStopping:
        """When each place of the program must stop; a place that only fills up never starts."""
        left, best, since, patience = [], [], [], []
        for index, place in enumerate(self._places):
            member = self._members[place]
            history, runs = member.history, index == place and member in self._running
            left.append(history.epochs_left if runs else 0)
            best.append(history.best_loss)
            since.append(history.epochs_since_best)
            # The device cannot compute some metrics, so patience is then checked after each call.
            wanted = None if self._program.spec.train_predict_steps else history.fit.patience
            patience.append(_NEVER if wanted is None else wanted)
        types = np.int32, np.float32, np.int32, np.int32
        columns = zip((left, best, since, patience), types, strict=True)
        return EarlyStopping(*[np.array(column, type_) for column, type_ in columns])

    def _row_orders(self, epochs: int) -> Any:
        """Row numbers of shape (max_epochs, steps, members, minibatch), -1 for no row."""
        spec = self._program.spec
        self._draw_orders(epochs)
        shape = (spec.max_epochs, spec.steps, spec.members, spec.batch_size)
        drawn = np.full(shape, -1, np.int32)
        for member in self._members_to_draw():
            place, first = self._members.index(member), member.history.epochs
            for epoch in range(first, first + epochs):
                if (batches := self._orders.get((member, epoch))) is not None:
                    drawn[epoch - first, :, 0 if spec.shared_order else place] = batches
        return drawn[:, :, 0] if spec.shared_order else drawn

    def _members_to_draw(self) -> list[BatchMember]:
        """Those whose row orders the program needs. Where all share them, one stands for all: the
        one that trains longest."""
        if not self._program.spec.shared_order:
            return self._running
        return [max(self._running, key=lambda member: member.history.epochs_left)]

    def _draw_orders(self, epochs: int, skip: int = 0) -> None:
        """Draw the row orders of the next epochs that are not drawn yet.

        Args:
            epochs: of how many epochs.
            skip: epochs between the end of the histories and the first of these.
        """
        spec = self._program.spec
        for member in self._members_to_draw():
            rows = self._table.train_rows(member.fit.split)
            first = member.history.epochs + skip
            for epoch in range(first, min(first + epochs, member.fit.epochs)):
                if (member, epoch) not in self._orders:
                    in_order = rows[draw_row_order(member.fit, epoch)]
                    self._orders[member, epoch] = split_into_batches(
                        in_order, member.batch_size, spec.steps, spec.batch_size
                    )

    def _validation_rows(self, member: BatchMember) -> Any:
        """Row numbers of shape (steps, minibatch).

        The training rows come first where the metric is computed from predictions.
        """
        spec, split = self._program.spec, member.fit.split
        rows = self._table.validation_rows(split)
        size, steps = spec.validation_batch_size, spec.validation_steps - spec.train_predict_steps
        batches = split_into_batches(rows, size, steps, size)
        if spec.train_predict_steps:
            train_rows = self._table.train_rows(split)
            training = split_into_batches(train_rows, size, spec.train_predict_steps, size)
            batches = np.concatenate([training, batches])
        return batches

    def _add_predicted_metrics(self, values: Any, predictions: Any) -> None:
        """Add the metrics that are computed from predictions, to the one epoch of a call.

        Args:
            values: of shape (max_epochs, members, curves).
            predictions: of shape (steps, members, minibatch, outputs); a dict of such, or a list in
                the order of the model's outputs, where there are several.
        """
        if isinstance(predictions, list | tuple):
            names = self._members[0].model.output_names
            predictions = dict(zip(names, predictions, strict=True))
        steps, table = self._program.spec.train_predict_steps, self._table
        y, weights = jax.tree.map(np.asarray, table.y), None
        if self._task.weighted_metrics:
            weights = np.asarray(table.weights)
        for place, member in enumerate(self._members):
            if member not in self._running:
                continue
            rows = self._validation_rows(member)
            own = table.own_targets and table.own_targets[member.fit.split]
            for part, at in (("train", slice(None, steps)), ("validation", slice(steps, None))):
                real = rows[at] >= 0
                which = rows[at][real]
                predicted = jax.tree.map(
                    lambda array, at=at, place=place, real=real: array[at, place][real], predictions
                )
                true = take_rows(y, which)
                if own:  # all rows of the part, in its order
                    predicted = own.undo(predicted, train=part == "train")
                    true = own.y if part == "train" else own.y_validation
                known = None if weights is None else weights[which]
                for name, measure in self._measures.items():
                    column = self._columns[part, name]
                    values[0, place, column] = measure(predicted, true, known)

    def _save_checkpoints(self, members: Sequence[BatchMember]) -> None:
        """Write checkpoints of those members that want one, have begun and have not diverged."""
        members = [m for m in members if m.fit.checkpoint_out and m.history.failure is None]
        members = [m for m in members if m.history.epochs]
        for member, state in zip(members, self._fetch_states(members), strict=True):
            member.save_checkpoint(state)

    def _fetch_states(self, members: Sequence[BatchMember]) -> list[Any]:
        """Copy the members' states from the device."""
        if not members:
            return []
        state = jax.device_get(self._state)
        places = [self._members.index(member) for member in members]
        return [jax.tree.map(lambda array, place=place: array[place], state) for place in places]


def split_into_batches(rows: Any, size: int, steps: int, width: int) -> Any:
    """Row numbers, `size` a step, as an array of shape (steps, width) filled up with -1.

    >>> split_into_batches(np.arange(5), 2, 4, 3).tolist()
    [[0, 1, -1], [2, 3, -1], [4, -1, -1], [-1, -1, -1]]
    """
    filled = np.full(steps * size, -1, np.int32)
    filled[: len(rows)] = rows
    batches = filled.reshape(steps, size)
    return np.pad(batches, ((0, 0), (0, width - size)), constant_values=-1)
