"""ask -> journal -> submit -> wait -> journal -> tell."""

from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Protocol

from hpsearch.executors import Executor
from hpsearch.replay import Progress, observe
from hpsearch.searchers import Search
from hpsearch.store import Journal
from hpsearch.task import Metric
from hpsearch.trial import Job, Outcome, Pause, Suggestion


class Listener(Protocol):
    """Who shows a running search. Ids are what people call trials by."""

    def started(self, id_: int, suggestion: Suggestion) -> None: ...
    def ended(self, id_: int, suggestion: Suggestion, outcome: Outcome) -> None: ...


def run(
    search: Search,
    journal: Journal,
    progress: Progress,
    executor: Executor,
    metric: Metric,
    listener: Listener,
    checkpoints: Path | None,
) -> None:
    """Go on from `progress` until the search is done and nothing runs.

    checkpoints: the folder for them, if the search's trials may have parents.
    """
    running: dict[Future[Outcome], int] = {}

    def submit(trial: int) -> None:
        suggestion = progress.asked[trial]
        parent = suggestion.parent
        job = Job(
            suggestion.params,
            suggestion.epochs,
            progress.begun(trial),
            resume=checkpoints / str(parent) if checkpoints and parent is not None else None,
            save=checkpoints / str(trial) if checkpoints else None,
        )
        listener.started(progress.ids[trial], suggestion)
        running[executor.submit(job)] = trial

    for trial in progress.running:  # asked before, and never told
        submit(trial)
    while True:
        while len(running) < executor.capacity:
            trial = len(progress.asked)
            answer = search.ask(trial)
            id_ = journal.asked(trial, answer)
            if isinstance(answer, Pause):
                break
            assert id_ is not None
            progress.asked[trial], progress.ids[trial] = answer, id_
            submit(trial)
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda future: running[future]):
            trial, outcome = running.pop(future), future.result()
            journal.told(trial, outcome)
            listener.ended(progress.ids[trial], progress.asked[trial], outcome)
            search.tell(trial, observe(outcome, progress.begun(trial), metric))
