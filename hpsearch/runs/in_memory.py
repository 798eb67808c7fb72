"""A whole search in this process, with a store in memory: nothing is left behind."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hpsearch.core.data import Data
from hpsearch.core.errors import StudyError
from hpsearch.core.metric import Metric
from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params
from hpsearch.core.trial import Outcome, Score, Suggestion
from hpsearch.executors import Inline
from hpsearch.runs import worker
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.display import Display, NoDisplay
from hpsearch.runs.driver import Driver
from hpsearch.runs.loop import Loop
from hpsearch.runs.replay import SearchState
from hpsearch.runs.study import StudyDefinition
from hpsearch.searchers.base import UNLIMITED, WeighsSeconds
from hpsearch.store import AskedEvent, Store, ToldEvent
from hpsearch.training import backend


@dataclass(frozen=True, slots=True)
class SearchedTrial:
    """A trial of a search in memory.

    Args:
        epochs: the total that the search asked for.
        is_last: whether no complete trial continues this one.
    """

    params: Params
    epochs: int
    is_last: bool
    outcome: Outcome

    @property
    def score(self) -> Score | None:
        """None where the trial failed."""
        return self.outcome.score


def search_in_memory(
    study: StudyDefinition,
    data: Data,
    *,
    engine: str = "auto",
    display: Display | None = None,
    stop_at_failure: bool = False,
) -> list[SearchedTrial]:
    """Search on these rows; returns all trials in the order in which they were asked for.

    Args:
        display: shows trials that end; None: nothing does.
        stop_at_failure: whether the first trial that fails ends the search.

    Raises HpsearchError where the study cannot work, and StudyError where every trial failed, or
    one did that ends the search.
    """
    # No more in flight than costs nothing, whatever is fastest: so a seed gives the same result.
    in_flight = study.searcher.in_flight
    together = None if in_flight == UNLIMITED else in_flight
    executor = Inline(partial(worker.prepare_work, study, data, backend.choose(), engine, together))
    with Store(None) as store, tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        facts = executor.open()
        journal = store.journal(0, study.task.recorded[1:])
        search = study.searcher.start(
            study.space, seed=derive_seed(study.seed, "search"), first=study.first_points
        )
        if isinstance(search, WeighsSeconds):
            search.expect_epoch_seconds(facts.epoch_seconds)
        Loop(
            search,
            journal,
            SearchState(),
            Driver(executor, display or NoDisplay()),
            study.task.objective,
            SearchCheckpoints(Path(folder), keep=0),
            stop_at_failure=stop_at_failure,
        ).run()
        executor.close()
        return list_trials(journal.events())


def list_trials(events: Iterable[AskedEvent | ToldEvent]) -> list[SearchedTrial]:
    """The trials of a search that have ended, in the order in which they were asked for.

    Raises StudyError where every trial failed.
    """
    events = list(events)
    outcomes = {event.trial: event.outcome for event in events if isinstance(event, ToldEvent)}
    suggestions = [
        (event.trial, event.answer)
        for event in events
        if isinstance(event, AskedEvent)
        and isinstance(event.answer, Suggestion)
        and event.trial in outcomes
    ]
    continued = {s.parent for trial, s in suggestions if outcomes[trial].score is not None}
    trials = [
        SearchedTrial(s.params, s.epochs, trial not in continued, outcomes[trial])
        for trial, s in suggestions
    ]
    if all(trial.score is None for trial in trials):
        first = trials[0].outcome.failure if trials else None
        raise StudyError(
            f"every trial failed, the first with {first.kind}: {first.message}"
            if first
            else "no trial has ended; give the search a larger budget"
        )
    return trials


def find_best_trial(trials: Sequence[SearchedTrial], metric: Metric) -> SearchedTrial:
    """The trial that ranks first; the earlier one of two that are equal."""
    ended = [(trial, trial.score.value) for trial in trials if trial.is_last and trial.score]
    return ended[metric.best([value for _, value in ended])][0]
