"""Short texts by which data is known again, and what they say of a change."""

import hashlib
from collections.abc import Mapping

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.streamed import Streams


def describe_change(before: str, now: str) -> str:
    """What two fingerprints of data say of its change.

    >>> describe_change("2026-10 0123456789abcdef", "2026-11 0123456789abcdef")
    'the data changed: its version was 2026-10, now 2026-11'
    """
    old, new = (fingerprint.rpartition(" ")[0] for fingerprint in (before, now))
    if old != new:
        return f"the data changed: its version was {old or 'not given'}, now {new or 'not given'}"
    if new:
        return f"the data changed: types, shapes or number of rows, though its version is {new}"
    return "the data changed"


def digest_data(
    parts: Mapping[str, Array | LazyRows],
    more: Mapping[str, str] | None = None,
    *,
    with_values: bool = True,
    streams: Streams | None = None,
) -> str:
    """16 hexadecimal digits by what data is made of.

    Args:
        parts: its arrays and rows of sources, by name. Of a source, a sample of rows counts.
        more: what else tells it from other data, by name.
        with_values: whether values count; else names, types and shapes alone.
        streams: where it comes in batches.
    """
    digest = hashlib.sha256()
    for name, text in sorted((more or {}).items()):
        digest.update(f"{name} {text};".encode())
    for said in () if streams is None else streams.describe():
        digest.update(said)
    for name, array in sorted(parts.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        if not with_values:
            continue
        if isinstance(array, LazyRows):
            for part in array.describe():
                digest.update(part)
        else:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()[:16]
