"""What several studies that share devices will get of them, before they run."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpsearch import store as stores
from hpsearch.core.errors import HpsearchError, NoStoreError, OldStoreError
from hpsearch.core.plan import Budget, Plan
from hpsearch.core.streams import make_streams_tolerant
from hpsearch.executors import find_devices
from hpsearch.executors.worker_process import ctrl_c_ignored, end_with_parent, main_module_hidden
from hpsearch.runs.load import Overrides, load_study
from hpsearch.runs.sweep_studies import SweepStudy, check_studies, refuse_same_name
from hpsearch.searchers.base import plan_search
from hpsearch.store import Store, Url

_AT_ONCE = 4  # processes that load studies


@dataclass(frozen=True, slots=True)
class PlannedStudy:
    """What a study of several will take, and what it gets.

    Args:
        error: why it cannot be loaded; then it takes nothing.
        plan: the trials and epochs of its search.
        seconds: that the search takes on one worker, by earlier trials; None: not known.
        share: of the devices, by its weight among those that can be loaded.
        gets: seconds of devices that it gets, with what others leave; None: no --hours were given.
        fits: the share of the search that fits into that and --total-epochs; None: not known.
    """

    study: str
    file: Path
    error: str | None = None
    plan: Plan | None = None
    seconds: float | None = None
    share: float = 0.0
    gets: float | None = None
    fits: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields by their names in JSON documents."""
        return {
            "study": self.study,
            "file": str(self.file),
            "error": self.error,
            **({} if self.plan is None else self.plan.totals),
            "seconds": self.seconds,
            "share": self.share,
            "device_seconds": self.gets,
            "fits": self.fits,
        }


def plan_sweep(
    studies: Sequence[SweepStudy],
    overrides: Overrides,
    budget: Budget,
    store: Path | Url,
    devices: str,
    per_device: int,
) -> list[PlannedStudy]:
    """What each study gets of the devices. Raises HpsearchError where they cannot run together."""
    check_studies(studies)
    slots = len(find_devices(devices)) * per_device
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        loaded = list(pool.map(lambda study: _load_apart(study, overrides), studies))
    _refuse_equal_names(studies, loaded)
    living = sum(s.weight for s, found in zip(studies, loaded, strict=True) if not found[1])
    needs = [_seconds_needed(store, name, plan) for name, _, plan in loaded]
    total = None if budget.hours is None else 3600 * budget.hours * slots
    weights = [
        s.weight if not error else 0.0 for s, (_, error, _) in zip(studies, loaded, strict=True)
    ]
    gets = None if total is None else share_out(total, weights, needs)
    planned = []
    for number, (study, (name, error, plan)) in enumerate(zip(studies, loaded, strict=True)):
        assert study.file is not None
        if error is not None or plan is None:
            planned.append(PlannedStudy(name, study.file, error))
            continue
        mine = None if gets is None else gets[number]
        planned.append(
            PlannedStudy(
                name,
                study.file,
                None,
                plan,
                needs[number],
                study.weight / living,
                mine,
                _share_that_fits(plan, needs[number], mine, budget.epochs),
            )
        )
    return planned


def share_out(total: float, weights: Sequence[float], needs: Sequence[float | None]) -> list[float]:
    """Divide a total by weight; what one does not need goes to the others.

    Args:
        needs: None: as much as there is.

    >>> share_out(100.0, [1, 1, 2], [10.0, None, None])
    [10.0, 30.0, 60.0]
    """
    given = [0.0] * len(weights)
    hungry = {n for n, weight in enumerate(weights) if weight > 0}
    while hungry:
        left, weight = total - sum(given), sum(weights[n] for n in hungry)
        fair = {n: given[n] + left * weights[n] / weight for n in hungry}
        full = {n for n in hungry if (need := needs[n]) is not None and need < fair[n]}
        for n in full or hungry:
            need = needs[n]
            given[n] = fair[n] if n not in full or need is None else need
        if not full:
            break
        hungry -= full
    return given


def _share_that_fits(
    plan: Plan, seconds: float | None, gets: float | None, epochs: int | None
) -> float | None:
    if plan.expected_epochs is None:
        return None
    hours = None if gets is None or not gets else gets / 3600
    return Budget(hours, epochs).affordable_share(plan.expected_epochs, seconds)


def _seconds_needed(store: Path | Url, name: str, plan: Plan | None) -> float | None:
    """Seconds of one worker that a search takes, by the trials in the store."""
    with suppress(NoStoreError, OldStoreError), Store(store) as opened:
        pace = stores.measure_pace(opened, name)
        if pace is not None and plan is not None and plan.expected_epochs is not None:
            return plan.expected_epochs * pace[1]
    return None


def _refuse_equal_names(
    studies: Sequence[SweepStudy], loaded: Sequence[tuple[str, str | None, Plan | None]]
) -> None:
    seen: dict[str, SweepStudy] = {}
    for study, (name, error, _) in zip(studies, loaded, strict=True):
        if error is None and name in seen:
            refuse_same_name(name, seen[name], study)
        seen[name] = study


def _load_apart(study: SweepStudy, overrides: Overrides) -> tuple[str, str | None, Plan | None]:
    """A study's name, why it cannot be loaded, and its plan; loaded in a process of its own."""
    assert study.file is not None
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_plan, args=(theirs, study.file, overrides))
    with main_module_hidden(), ctrl_c_ignored():
        process.start()
    theirs.close()
    try:
        name, error, plan = ours.recv()
    except EOFError:
        process.join()
        error = f"its process ended by itself (exit code {process.exitcode}); see what it printed"
        return study.label, error, None
    process.join()
    return name or study.label, error, plan


def _send_plan(pipe: Connection, file: Path, overrides: Overrides) -> None:
    end_with_parent()
    make_streams_tolerant()
    try:
        study = load_study(file, overrides)
        plan = plan_search(study.searcher, study.space, seed=study.seed, first=study.first_points)
        pipe.send((study.name, None, plan))
    except HpsearchError as error:
        pipe.send((None, str(error), None))
