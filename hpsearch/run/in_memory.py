"""A whole search in this process, which leaves nothing behind."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.core.data import Data
from hpsearch.core.errors import StudyError
from hpsearch.core.seeds import derive
from hpsearch.core.space import Params
from hpsearch.core.task import Metric
from hpsearch.core.trial import Outcome, Score, Suggestion
from hpsearch.executors import Inline
from hpsearch.run import worker
from hpsearch.run.checkpoints import Checkpoints
from hpsearch.run.driver import Driver
from hpsearch.run.loop import Loop
from hpsearch.run.replay import Progress
from hpsearch.run.study import Study
from hpsearch.store import AskedEvent, Store, ToldEvent
from hpsearch.training import backend


@dataclass(frozen=True, slots=True)
class Searched:
    """A trial of a search. epochs: as asked for, in total. last: none continued it to an end."""

    params: Params
    epochs: int
    last: bool
    outcome: Outcome

    @property
    def score(self) -> Score | None:
        """None where it failed."""
        return self.outcome.score


def search(study: Study, data: Data, *, engine: str = "auto") -> list[Searched]:
    """Search on these rows; every trial, in the order in which they were asked for.

    Raises HpsearchError where the study cannot work, and StudyError where every trial failed.
    """
    training = worker.Training(backend.choose(), engine, study.searcher.in_flight)
    executor = Inline(lambda: worker.ready(study, data, training))
    with Store(None) as store, tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        executor.open()
        journal = store.journal(0)
        Loop(
            study.searcher.start(study.space, seed=derive(study.seed, "search"), first=study.start),
            journal,
            Progress(),
            Driver(executor),
            study.task.objective,
            Checkpoints(Path(folder), keep=0),
        ).run()
        executor.close()
        events = list(journal.events())
    told = {event.trial: event.outcome for event in events if isinstance(event, ToldEvent)}
    asked = [
        (event.trial, event.answer)
        for event in events
        if isinstance(event, AskedEvent) and isinstance(event.answer, Suggestion)
    ]
    continued = {answer.parent for trial, answer in asked if told[trial].score is not None}
    found = [
        Searched(answer.params, answer.epochs, trial not in continued, told[trial])
        for trial, answer in asked
    ]
    if all(trial.outcome.score is None for trial in found):
        first = found[0].outcome.failure if found else None
        raise StudyError(
            f"every trial failed, the first with {first.kind}: {first.message}"
            if first
            else "the searcher asked for no trial; give it a larger budget"
        )
    return found


def best(found: Sequence[Searched], metric: Metric) -> Searched:
    """The trial that ranks first; the earlier of two that are equal."""
    ended = [(trial, trial.score.value) for trial in found if trial.last and trial.score]
    return ended[metric.best([value for _, value in ended])][0]
