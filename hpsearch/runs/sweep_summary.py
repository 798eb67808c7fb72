"""What several studies that ran together found, and what they took."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.errors import NoStoreError, OldStoreError
from hpsearch.runs.sweep import StudyResult
from hpsearch.store import RankedTrial, RunEnd, Store, Url, monitor_search, rank_searches


@dataclass(frozen=True, slots=True)
class StudySummary:
    """How a study of several ended, and what its search holds now.

    Args:
        study: its name.
        search: its id in the store; None where none was begun.
        error: why it stopped alone; None where it did not.
        ended: how its run ended; None where it never began.
        all_failed: whether all trials of the search failed.
        trials, failed, epochs: of the search, over all its runs.
        seconds: of devices that this run took, summed over the devices.
        failures: a message for each failed trial.
        ranking: of the search's trials, best first.
    """

    study: str
    search: int | None
    file: Path | None
    error: str | None
    ended: RunEnd | None
    all_failed: bool
    trials: int
    failed: int
    epochs: int
    seconds: float
    failures: Sequence[str]
    ranking: Sequence[RankedTrial]

    def to_json(self) -> dict[str, Any]:
        """The fields by their names in JSON documents."""
        return {
            "study": self.study,
            "file": None if self.file is None else str(self.file),
            "error": self.error,
            "ended": self.ended,
            "all_failed": self.all_failed,
            "trials": self.trials,
            "failed": self.failed,
            "epochs": self.epochs,
            "device_seconds": self.seconds,
            "ranking": [row.to_json() for row in self.ranking],
        }


def summarize_sweep(store: Path | Url, results: Sequence[StudyResult]) -> list[StudySummary]:
    """A summary of each study, in the same order."""
    with ExitStack() as opened:
        found: Store | None = None
        with suppress(NoStoreError, OldStoreError):  # no study began its search
            found = opened.enter_context(Store(store))
        return [_summarize(found, result) for result in results]


def _summarize(store: Store | None, result: StudyResult) -> StudySummary:
    ended: RunEnd | None = None
    trials, failed, epochs, ranking = 0, 0, 0, list[RankedTrial]()
    if store is not None and result.search is not None:
        monitor = monitor_search(store, result.search)
        monitor.refresh()
        trials, epochs = monitor.n_ended, monitor.epochs
        failed = sum(monitor.failures.values())
        ended = monitor.run.ended if monitor.run else None
        ranking = rank_searches(store, [result.search])
    ending = result.ending
    if ending.was_stopped:  # also where it was only loading
        ended = "stopped"
    return StudySummary(
        result.label,
        result.search,
        result.file,
        ending.error,
        ended,
        ending.all_failed,
        trials,
        failed,
        epochs,
        result.seconds,
        ending.failures,
        ranking,
    )
