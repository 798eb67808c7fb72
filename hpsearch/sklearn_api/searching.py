"""Where a search runs: in memory, in a store that keeps it, and with workers on devices."""

import math
import tempfile
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import StudyError
from hpsearch.core.one_run import only_run
from hpsearch.core.plan import Budget
from hpsearch.core.rules import brief, why_no_number
from hpsearch.core.trial import Facts
from hpsearch.executors import find_devices
from hpsearch.runs.display import NoDisplay
from hpsearch.runs.identity import find_changes, make_search_record
from hpsearch.runs.in_memory import SearchedTrial, list_trials, search_in_memory
from hpsearch.runs.load import Overrides
from hpsearch.runs.options import RunOptions
from hpsearch.runs.session import run_study
from hpsearch.runs.study import StudyDefinition
from hpsearch.searchers.base import UNLIMITED, plan_search
from hpsearch.sklearn_api.progress import SearchProgress
from hpsearch.store import Store, Url, has_store
from hpsearch.store.url import parse_place
from hpsearch.training import backend

_KEPT = 3  # trials whose checkpoints stay beside the store
_SECONDS_TO_COUNT = 0.2  # of a search's trials, which are only shown


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """Where a search runs, and what it prints.

    Args:
        devices: of the workers, as `hpsearch run --devices` takes them; None: this process trains.
        store: keeps the search; None: nothing does.
        engine: how to train.
        verbose: as `SearchProgress` has it; 0: nothing is printed.
        budget: the hours of the search.
        stops_at_failure: whether the first trial that fails ends the search.
    """

    devices: str | None
    store: Path | Url | None
    engine: str
    verbose: int
    budget: Budget = field(default_factory=Budget)
    stops_at_failure: bool = False


def choose_place(
    *,
    n_jobs: Any,
    devices: Any,
    store: Any,
    engine: str,
    verbose: Any,
    random_state: Any,
    hours: Any = None,
    error_score: Any = math.nan,
) -> SearchPlace:
    """Check the keywords that say where a search runs. Raises ValueError."""
    if isinstance(verbose, bool | np.bool_):
        verbose = int(verbose)
    if not isinstance(verbose, int | np.integer) or verbose < 0:
        raise ValueError(f"verbose is a whole number from 0 on, got {brief(verbose)}")
    if store is not None and not isinstance(random_state, int | np.integer):
        raise ValueError(
            "store= continues the search of the same seed; give random_state= a whole number, got "
            f"{brief(random_state)}"
        )
    if hours is not None and (why_no_number(hours) or not 0 < hours < math.inf):
        raise ValueError(f"hours is how long to search, above 0, got {brief(hours)}")
    place = None if store is None else parse_place(store)
    return SearchPlace(
        _choose_devices(n_jobs, devices),
        place,
        engine,
        int(verbose),
        Budget(hours),
        read_error_score(error_score) is None,
    )


def read_error_score(error_score: Any) -> float | None:
    """The scores of failed trials; None where the first one ends the search. Raises ValueError."""
    if isinstance(error_score, str) and error_score == "raise":
        return None
    if isinstance(error_score, bool | np.bool_) or not isinstance(
        error_score, int | float | np.integer | np.floating
    ):
        raise ValueError(f"error_score is a number, or 'raise', got {brief(error_score)}")
    return float(error_score)


def _choose_devices(n_jobs: Any, devices: Any) -> str | None:
    if devices is not None:
        if n_jobs is not None:
            raise ValueError(
                f"n_jobs={brief(n_jobs)} counts workers, and devices={brief(devices)} names them; "
                "give one of the two"
            )
        if not isinstance(devices, str):
            raise ValueError(f"devices is a text, as '0,1' or 'cpu:2', got {brief(devices)}")
        find_devices(devices)  # refuses what is not there
        return devices
    if n_jobs is None:
        return None
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise ValueError(
            f"n_jobs is a number of worker processes, -1 for one on each core, got {brief(n_jobs)}"
        )
    if n_jobs == 1:
        return None
    found = find_devices("auto")
    if found[0].kind == "gpu":
        raise ValueError(
            f"n_jobs={n_jobs} counts workers on cores, and this machine has GPUs; give devices= "
            "their numbers, as '0,1' (a worker on each), or 'cpu:2'"
        )
    cores = len(find_devices("cpu:1")[0].cores)
    count = int(n_jobs)
    return f"cpu:{count if count > 0 else max(1, cores + 1 + count)}"


def run_search(study: StudyDefinition, data: Data, place: SearchPlace) -> list[SearchedTrial]:
    """Search, or continue the search that the store holds; returns the trials that have ended.

    Raises HpsearchError where the study cannot work or is another one than the store's, and
    KeyboardInterrupt where Ctrl-C stopped it; fitted again with the same store, it goes on.
    """
    folds = study.evaluator.fits
    assert folds is not None  # as KerasSearchCV makes evaluators
    progress = SearchProgress(place.verbose, folds) if place.verbose else None
    if place.store is None and place.devices is None and place.budget.hours is None:
        shown = (
            progress.show_trials(study.task.objective, _count_trials(study))
            if progress
            else nullcontext()
        )
        with shown:
            return search_in_memory(
                study,
                data,
                engine=place.engine,
                display=progress,
                stop_at_failure=place.stops_at_failure,
            )
    with ExitStack() as opened:
        if place.store is not None:
            store = place.store
        else:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-"))
            store = Path(folder) / "store.db"
        opened.enter_context(only_run("KerasSearchCV.fit"))
        in_flight = study.searcher.in_flight
        options = RunOptions(
            None,
            store,
            Overrides(),
            backend.choose(),
            engine=place.engine,
            # No more at a time than costs nothing: so a seed gives the same result in any place.
            together=None if in_flight == UNLIMITED else in_flight,
            budget=place.budget,
            stop_at_failure=place.stops_at_failure,
            keep=_KEPT if place.store is not None else 0,
            is_kept=place.store is not None,
            inline=place.devices is None,
            devices=place.devices or "auto",
        )
        _refuse_changes(study, data, options)
        ended = run_study(study, options, progress or NoDisplay())
        if ended.was_stopped:
            raise KeyboardInterrupt
        assert ended.search is not None  # it is only of a run that was stopped before it
        with Store(options.store) as kept:
            return list_trials(kept.journal(ended.search).events())


def _count_trials(study: StudyDefinition) -> int | None:
    """How many trials the search will have; None where that is not known."""
    plan = plan_search(
        study.searcher,
        study.space,
        seed=study.seed,
        first=study.first_points,
        seconds=_SECONDS_TO_COUNT,
    )
    return plan.exact_trials


def _refuse_changes(study: StudyDefinition, data: Data, options: RunOptions) -> None:
    """Raise StudyError where the store has another search by this name."""
    if not has_store(options.store):
        return
    record = make_search_record(study, None, Facts(data.fingerprint, "", options.backend, {}))
    with Store(options.store) as store:
        for before in store.searches(study.name):
            if before.file or before.has_baselines:
                continue
            if changes := find_changes(record, before):
                raise StudyError(
                    f"the store has another search {study.name}: {'; '.join(changes)}; give name= "
                    "another name, or store= another place (inside a cross-validation, which fits "
                    "it on other rows each time, store=None)"
                )
