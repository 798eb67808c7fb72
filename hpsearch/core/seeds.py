"""Random seeds, derived from their purpose, never from order, process or time."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Mapping[str, Any]) -> str:
    """The JSON text of a point or a space, the same for equal ones: sorted names, no blanks.

    >>> canonical_json({"b": 1, "a": 0.1})
    '{"a":0.1,"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2**31) for a purpose; other purposes give independent seeds.

    >>> derive_seed(0, "search") == derive_seed(0, "search")
    True
    >>> derive_seed(0, "search") == derive_seed(0, "splits")
    False
    """
    text = json.dumps([seed, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") >> 1


def seed_of_repeat(seed: int, repeat: int) -> int:
    """The seed that replaces the study's in a repeated training; repeat 0 is the first training."""
    return derive_seed(seed, "repeat", repeat) if repeat else seed
