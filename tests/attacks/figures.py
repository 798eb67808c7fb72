"""The figures of an attack: how many cases ended in which way, and how to see each failure again."""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

# How a case may end. Every module uses these words, so that one table shows all attacks.
FINE = (
    "clear",  # refused in one line, exit code 2, nothing written
    "works",  # does what was asked for
    "equal",  # killed or damaged, and in the end equal bit for bit to a run that was not
    "undetectable",  # damaged so that nothing tells it from what might have been written
)
BAD = (
    "wrongly accepted",  # exit code 0, or a value that cannot be used
    "wrongly refused",  # what is valid was not done
    "unclear",  # refused, but not in one line, or not by exit code 2, or something was left behind
    "wrong value",
    "traceback",  # or ended by a signal
    "hang",
    "destroyed",  # a file that was there before was changed or removed
)


@dataclass(frozen=True)
class Failure:
    attack: str
    case: str
    verdict: str
    detail: str  # how to see it again, and what was seen


@dataclass
class Figures:
    """What one attack found."""

    attack: str
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, verdict: str, case: str, detail: str = "") -> None:
        """Count a case; verdict: one of FINE or BAD."""
        if verdict not in FINE + BAD:
            raise ValueError(f"{verdict!r} is no verdict; known: {', '.join(FINE + BAD)}")
        self.counts[verdict] += 1
        if verdict in BAD:
            self.failures.append(Failure(self.attack, case, verdict, detail))

    @property
    def tried(self) -> int:
        return self.counts.total()


# ATTACKS of a module: by name a function (sample, seed) -> Figures. sample: how many cases to draw,
# None: all of them.
Attack = Callable[[int | None, int], Figures]


def draw(
    cases: Sequence[T], sample: int | None, seed: int, always: Callable[[T], bool] | None = None
) -> list[T]:
    """All cases, or so many drawn by the seed, and besides those that `always` names."""
    if sample is None or sample >= len(cases):
        return list(cases)
    chosen = set(random.Random(seed).sample(range(len(cases)), sample))
    return [
        case
        for at, case in enumerate(cases)
        if at in chosen or (always is not None and always(case))
    ]


def show_progress(name: str, cases: Sequence[T]) -> Iterator[T]:
    """The cases, one after the other, with a line of progress every few seconds."""
    shown = time.monotonic()
    for number, case in enumerate(cases):
        if time.monotonic() > shown + 10:
            shown = time.monotonic()
            print(f"{name}: {number} of {len(cases)}", file=sys.stderr, flush=True)
        yield case


def table(found: Iterable[Figures]) -> str:
    """The figures of several attacks as a Markdown table, with a line for all of them."""
    rows = list(found)
    total = Figures("all", sum((row.counts for row in rows), Counter()))
    used = [word for word in FINE + BAD if total.counts[word] or word in _SHOWN]
    lines = ["| attack | tried | " + " | ".join(used) + " |", "|---|" + "---:|" * (len(used) + 1)]
    for row in (*rows, total):
        numbers = [row.tried, *(row.counts[word] for word in used)]
        lines.append(f"| {row.attack} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)


_SHOWN = (
    "clear",
    "works",
    "equal",
    "wrongly accepted",
    "wrong value",
    "traceback",
    "hang",
    "destroyed",
)  # also where they are 0


def to_json(found: Iterable[Figures]) -> str:
    def plain(row: Figures) -> dict[str, Any]:
        failures = [vars(failure) for failure in row.failures]
        return {"attack": row.attack, "counts": dict(row.counts), "failures": failures}

    return json.dumps([plain(row) for row in found], indent=1)
