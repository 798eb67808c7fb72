"""The tables on the devices that were used last."""

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

MAX_TABLES = 2


@dataclass(eq=False)
class TableCache:
    """Puts the rows of splits on devices, and keeps the last tables there.

    Args:
        task: whose rows they are.
        shared: a folder of this run and data, where workers share what one of them computes.
    """

    task: Task
    shared: Path | None
    _tables: RecentDict[DeviceTable] = field(default_factory=lambda: RecentDict(MAX_TABLES))
    _signatures: RecentDict[tuple[Any, ...]] = field(
        default_factory=lambda: RecentDict(MAX_TEMPLATES)
    )
    # What frozen parts give for all rows: computed once, however many models are trained on it.
    _features: RecentDict[Array] = field(default_factory=lambda: RecentDict(MAX_TABLES))

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
            table = next(same, None) or self._make_table(name, frozen, data)
            self._tables[name, sharding] = table.put_on(sharding)
            self._signatures[name] = self._tables[name, sharding].signature
        return self._tables[name, sharding]

    def _make_table(self, name: "_TableName", frozen: FrozenPart | None, data: Data) -> DeviceTable:
        table = make_table(self.task, data, name.splits)
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

    def _name_table(self, splits: tuple[Split, ...], frozen: FrozenPart | None) -> "_TableName":
        """The name of a table with these rows.

        One that has those of more splits serves too, if it was made before: the fewer trials that
        a search goes on with find their program compiled.
        """
        digest = None if frozen is None else frozen.digest
        if not self.task.prepares_each_split:
            return _TableName((), digest)
        larger = (
            known
            for known in self._signatures
            if isinstance(known, _TableName)
            and known.features == digest
            and set(splits).issubset(known.splits)
        )
        return min(larger, key=lambda known: len(known.splits), default=_TableName(splits, digest))


@dataclass(frozen=True, slots=True)
class _TableName:
    """What tells tables apart.

    Args:
        splits: whose rows it has, where each has rows of its own; else it has all rows.
        features: names the frozen part whose output stands for x.
    """

    splits: tuple[Split, ...]
    features: str | None
