"""The tables on the devices that were used last."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hpsearch.core.arrays import Array, read_rows
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.training import sharing
from hpsearch.training.base import Split
from hpsearch.training.batched.device_data import DeviceTable, make_table
from hpsearch.training.batched.template import MAX_TEMPLATES, RecentDict
from hpsearch.training.frozen import FrozenPart

_MAX_TABLES = 2


@dataclass(eq=False)
class TableCache:
    """Puts the rows of splits on devices, and keeps the last tables there.

    Args:
        task: whose rows they are.
        shared: a folder of this run and data, where workers share what one of them computes.
    """

    task: Task
    shared: Path | None
    _tables: RecentDict[DeviceTable] = field(default_factory=lambda: RecentDict(_MAX_TABLES))
    _signatures: RecentDict[tuple[Any, ...]] = field(
        default_factory=lambda: RecentDict(MAX_TEMPLATES)
    )
    # What frozen parts give for all rows: computed once, however many models are trained on it.
    _features: RecentDict[Array] = field(default_factory=lambda: RecentDict(_MAX_TABLES))

    def get_table(
        self, splits: tuple[Split, ...], frozen: FrozenPart | None, data: Data, sharding: Any
    ) -> DeviceTable:
        """The rows of these splits, on the devices that `sharding` says.

        Args:
            frozen: the part of the models trained on them whose output stands for x.
            data: the task's.
        """
        name = self._name_table(splits, frozen)
        if (name, sharding) not in self._tables:
            # The same rows may lie on other devices: they are not read again.
            same = (
                table
                for key, table in self._tables.items()
                if isinstance(key, tuple) and key[0] == name
            )
            table = next(same, None) or self._make_table(name, splits, frozen, data)
            self._tables[name, sharding] = table.put_on(sharding)
            self._signatures[name] = self._tables[name, sharding].signature
        return self._tables[name, sharding]

    def _make_table(
        self,
        name: tuple[Hashable, Hashable],
        splits: tuple[Split, ...],
        frozen: FrozenPart | None,
        data: Data,
    ) -> DeviceTable:
        table = make_table(self.task, data, splits)
        if frozen is None:
            return replace(table, x=read_rows(table.x))
        if name not in self._features:
            self._features[name] = sharing.compute_once(
                None if self.task.prepares_each_split else self.shared,
                f"features-{frozen.digest}",
                partial(frozen.compute_features, table.x),
            )
        return replace(table, x=self._features[name])

    def find_signature(
        self, splits: tuple[Split, ...], frozen: FrozenPart | None
    ) -> tuple[Any, ...] | None:
        """The signature of a table that was made before; None where it was not."""
        return self._signatures.get(self._name_table(splits, frozen))

    def _name_table(
        self, splits: tuple[Split, ...], frozen: FrozenPart | None
    ) -> tuple[Hashable, Hashable]:
        """What tells tables apart: the splits, where each has rows of its own, and the features."""
        rows = splits if self.task.prepares_each_split else None
        return rows, None if frozen is None else frozen.digest
