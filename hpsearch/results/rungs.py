"""How trials of a search go from rung to rung."""

from collections import Counter
from typing import Any

import pandas as pd

Rung = tuple[int, int]
"""Epochs of the first rung of the bracket, and epochs to which this rung trains."""


def count_flows(trials: pd.DataFrame) -> Counter[tuple[Rung, Rung | str]]:
    """How many trials of a search went from each rung to another, or ended there.

    Where they ended there, the second is `finished`, `stopped` (by the rung), `failed`, `running`
    or `unfinished` (no run is alive).
    """
    parents: dict[Any, int] = {
        trial: int(parent) for trial, parent in trials["parent"].dropna().items()
    }
    heirs = {parent: trial for trial, parent in parents.items()}
    last = int(trials["asked_epochs"].max())
    rung: dict[int, Rung] = {}
    for trial, epochs in zip(trials.index, trials["asked_epochs"].astype(int), strict=True):
        parent = rung.get(parents.get(trial, 0))
        rung[trial] = parent[0] if parent else epochs, epochs
    found: Counter[tuple[Rung, Rung | str]] = Counter()
    for trial, state in zip(trials.index, trials["state"], strict=True):
        if trial in heirs:
            found[rung[trial], rung[heirs[trial]]] += 1
        elif state == "complete":
            found[rung[trial], "finished" if rung[trial][1] == last else "stopped"] += 1
        else:
            # Such a trial's state is "stopped" where its run ended, which no rung did.
            found[rung[trial], "unfinished" if state == "stopped" else state] += 1
    return found
