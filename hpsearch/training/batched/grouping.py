"""Which members' rows lie in one table, so that one program may train them."""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np

from hpsearch.core.arrays import inputs_by_name
from hpsearch.core.seeds import canonical_json
from hpsearch.training.base import ModelSpec, Split
from hpsearch.training.batched.member import BatchMember


def group_by_rows(
    members: Iterable[BatchMember], specs: Iterable[ModelSpec], most_bytes: int
) -> list[Sequence[BatchMember]]:
    """Group members whose rows may lie in one table.

    Their rows are of one shape and type, and where a frozen part makes features of them, it is the
    same.

    Args:
        members: to group.
        specs: what the `build` of each was told.
        most_bytes: of a table, where points choose how rows are preprocessed: then each point may
            have rows of its own.
    """
    groups: dict[Hashable, list[BatchMember]] = {}
    row_bytes: dict[Hashable, int] = {}
    for member, spec in zip(members, specs, strict=True):
        frozen = None if member.frozen is None else member.frozen.digest
        key = repr(spec.input_shape), repr(spec.dtype), frozen
        groups.setdefault(key, []).append(member)
        row_bytes[key] = _count_row_bytes(spec)
    return [
        part
        for key, group in groups.items()
        for part in _split_by_rows(group, most_bytes // row_bytes[key])
    ]


def distinct_splits(members: Iterable[BatchMember]) -> tuple[Split, ...]:
    """The splits that members are trained on, each once."""
    return tuple(dict.fromkeys(member.fit.split for member in members))


def _split_by_rows(
    members: Sequence[BatchMember], most_rows: int
) -> Iterator[Sequence[BatchMember]]:
    """Cut members of several preprocessings where their splits have more rows together.

    Those of one preprocessing stay together: their rows lie on the device once.
    """
    by_preprocessing: dict[str, list[BatchMember]] = {}
    for member in members:
        chosen = canonical_json(member.fit.split.preprocessing)
        by_preprocessing.setdefault(chosen, []).append(member)
    if len(by_preprocessing) == 1 or _count_rows(members) <= most_rows:
        yield members
        return
    part: list[BatchMember] = []
    for group in by_preprocessing.values():
        if part and _count_rows([*part, *group]) > most_rows:
            yield part
            part = []
        part += group
    yield part


def _count_rows(members: Iterable[BatchMember]) -> int:
    """The rows of members' splits, each of which has its own."""
    splits = distinct_splits(members)
    return sum(len(split.train) + len(split.validation) for split in splits)


def _count_row_bytes(spec: ModelSpec) -> int:
    """Bytes of a row, over all inputs."""
    shapes, dtypes = inputs_by_name(spec.input_shape), inputs_by_name(spec.dtype)
    return sum(math.prod(shapes[name]) * np.dtype(dtypes[name]).itemsize for name in shapes)
