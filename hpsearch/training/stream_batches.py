"""The batches of streams, as Keras takes them.

An epoch's stream is made when the epoch begins, by the seed of that epoch. So a fit that continues
gets what it would have got, and a generator may be used up.
"""

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters import data_adapter, data_adapter_utils

from hpsearch.core.errors import HpsearchError
from hpsearch.core.seeds import derive_seed
from hpsearch.core.streamed import (
    HELD_OUT_BATCH,
    HELD_OUT_SEED,
    Batch,
    Streams,
)
from hpsearch.core.task import Task
from hpsearch.training.base import Fit
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.rows import check_numbers, shape_targets


class StreamBatches(data_adapter.DataAdapter):  # type: ignore[misc]
    """The batches of one part, made anew for each epoch.

    Keras takes an adapter as it takes what its own adapters are for. What TensorFlow trains on is
    passed to it as it is; all else is read as arrays, and each batch is checked.

    Args:
        streams: the parts.
        part: "train", "validation" or "test".
        task: says the shape of targets that models need; None: they stay as they come.
        batch_size: for the stream.
        seed_of: the seed of an epoch, counted from 0.
        limit: at most so many batches of an epoch; None: all.
    """

    def __init__(
        self,
        streams: Streams,
        part: str,
        task: Task | None,
        batch_size: int = HELD_OUT_BATCH,
        seed_of: Callable[[int], int] = lambda epoch: HELD_OUT_SEED,
        limit: int | None = None,
    ) -> None:
        self.streams, self.part, self.task = streams, part, task
        self._batch_size, self._seed_of, self._limit = batch_size, seed_of, limit
        self.epoch = 0
        self.total: int | None = None
        """Batches of the epoch, from the moment on when the last of them was given."""
        self.error: HpsearchError | None = None

    def read(self) -> Iterator[Batch]:
        """The batches of the epoch, checked, with targets as models need them."""
        stream = self.open()
        if isinstance(stream, keras.utils.PyDataset):
            stream = _read_by_its_workers(stream)
        with contextlib.closing(self.streams.read(self.part, stream)) as batches:
            for batch in itertools.islice(batches, self._limit):
                for name, arrays in (("x", batch.x), ("y", batch.y)):
                    for array in keras.tree.flatten(arrays):
                        check_numbers(f"{name} of {self.part}", array)
                yield Batch(batch.x, self.shape_targets(batch.y), batch.weights)

    def shape_targets(self, y: Any) -> Any:
        """Targets as models need them."""
        return y if self.task is None else shape_targets(self.task, y)

    def open(self) -> Any:
        """The stream of the epoch, as the study's function makes it."""
        return self.streams.open(self.part, self._seed_of(self.epoch), self._batch_size)

    # What Keras asks for; it calls each of these, or iterates what it got, once an epoch.

    def get_numpy_iterator(self) -> Iterator[Any]:
        """The batches as tuples of arrays."""
        self.total = None
        try:
            for number, (batch, following) in enumerate(_with_following(self.read()), 1):
                if following is None:
                    self.total = number
                parts = (batch.x, batch.y)
                yield parts if batch.weights is None else (*parts, batch.weights)
        except HpsearchError as error:
            self.error = error  # TensorFlow would wrap it
            raise

    get_jax_iterator = get_numpy_iterator

    def get_torch_dataloader(self) -> Any:
        return data_adapter_utils.get_torch_dataloader(self.get_numpy_iterator())

    def get_tf_dataset(self) -> Any:
        import tensorflow as tf

        # One that does not say its length is read as arrays, so that its end is seen in time.
        if self._limit is None and data_adapters.is_tf_dataset(stream := self.open()):
            if _limit_dataset(self, stream).cardinality() >= 0:
                return _EachEpoch(self, stream)
        first = self.streams.first
        y, weights = self.shape_targets(first.y), first.weights
        parts = (first.x, y) if weights is None else (first.x, y, weights)
        signature = keras.tree.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), parts
        )
        return tf.data.Dataset.from_generator(self.get_numpy_iterator, output_signature=signature)

    @property
    def num_batches(self) -> int:
        # With a number that is too large, Keras ends each epoch where its stream ends. With None,
        # it would end all epochs where the first one did.
        return sys.maxsize

    @property
    def batch_size(self) -> None:
        return None


class _EachEpoch:
    """A `tf.data.Dataset` that is made anew whenever it is iterated, as Keras does in each epoch.

    Args:
        batches: make them.
        stream: the one made first, for the first iteration.
    """

    def __init__(self, batches: StreamBatches, stream: Any) -> None:
        self._batches, self._made = batches, {batches.epoch: stream}

    def __iter__(self) -> Any:
        batches, epoch = self._batches, self._batches.epoch
        stream = self._made.pop(epoch) if epoch in self._made else batches.open()
        stream = _limit_dataset(batches, stream)
        length = int(stream.cardinality())
        batches.total = length if length >= 0 else None
        return iter(stream.map(lambda *parts: _shape_tensors(batches, parts)))


def _limit_dataset(batches: StreamBatches, stream: Any) -> Any:
    steps = batches.streams.limit(batches.part)
    return stream if steps is None else stream.take(steps)


def _shape_tensors(batches: StreamBatches, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """A batch of tensors with its targets as columns where models need that."""
    x, y, *weights = parts
    before = batches.streams.first.y
    shaped = batches.shape_targets(before)

    def shape(tensor: Any, before: Any, wanted: Any) -> Any:
        return keras.ops.expand_dims(tensor, -1) if before.ndim < wanted.ndim else tensor

    return x, keras.tree.map_structure(shape, y, before, shaped), *weights


def _with_following(batches: Iterator[Batch]) -> Iterator[tuple[Batch, Batch | None]]:
    """Each batch with the one that follows; None follows the last."""
    before = next(batches, None)
    while before is not None:
        following = next(batches, None)
        yield before, following
        before = following


def _read_by_its_workers(dataset: Any) -> Iterator[Any]:
    """The batches of a PyDataset, read by its threads or processes as Keras does it."""
    adapter = data_adapters.get_data_adapter(dataset)
    adapter.on_epoch_begin()
    try:
        yield from adapter.get_numpy_iterator()
    finally:
        adapter.on_epoch_end()


class TrainBatches(StreamBatches):
    """The batches that a fit is trained on.

    Args:
        streams, task: as `StreamBatches` has them.
        fit: the fit; fits of one `order_seed` share their batches.
    """

    def __init__(self, streams: Streams, task: Task, fit: Fit) -> None:
        seed = fit.seed if fit.order_seed is None else fit.order_seed
        super().__init__(
            streams,
            "train",
            task,
            batch_size(fit.params),
            lambda epoch: derive_seed(seed, "stream", epoch),
        )
        self.fit = fit

    def shuffle(self, epoch: int) -> None:
        """Begin this epoch, by another seed."""
        self.epoch = epoch
