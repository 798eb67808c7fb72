"""What `study.run` returns: how the run ended, and the ranking."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.core.errors import HpsearchError
from hpsearch.doctor.diagnose import diagnose_searches
from hpsearch.doctor.findings import Finding
from hpsearch.python_api.ranking import Ranking
from hpsearch.python_api.shown_parts import ShownParts
from hpsearch.python_api.stored_trial import StoredTrial
from hpsearch.results.baseline_gain import read_gain_of_ranking
from hpsearch.runs.session import RunResult
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import RunEnd, Url

if TYPE_CHECKING:
    from hpsearch.plots.results import Results

_ENDS = {
    "done": "the search is done",
    "stopped": "stopped; run the same command again to continue",
    "budget spent": "the budget is spent; run the same command again to continue",
}


class RunReport(ShownParts):
    """How a run ended.

    Args:
        study: as it was run.
        place: of the store.
        ended: what the run returned.

    Attributes:
        ranking: of all trials that compare with the study's, best first; it may be empty. Its `gain`
            is what the study's best trial brought over the best baseline.
        failures: a message for each trial of the search that failed.
        all_failed: whether the search has trials and all of them failed.
        end: "done", "stopped" (by Ctrl-C or the stop button) or "budget spent".
    """

    def __init__(self, study: StudyDefinition, place: Path | Url, ended: RunResult) -> None:
        self._study, self.place = study, place
        gain = read_gain_of_ranking(place, ended.ranking, study=ended.study)
        self.ranking = Ranking(ended.ranking, top=10, gain=gain)
        self.failures, self.all_failed = ended.failures, ended.all_failed
        self.end: RunEnd = ended.end
        self._search = ended.search

    @property
    def was_stopped(self) -> bool:
        """Whether Ctrl-C or the stop button ended it; running again continues it."""
        return self.end == "stopped"

    @property
    def best(self) -> StoredTrial:
        """The study's best trial. Raises HpsearchError where none is complete."""
        for row in self.ranking:
            if row.study == self._study.name and row.baseline is None:
                return StoredTrial(self.place, row.trial, self._study)
        why = f": {self.failures[0]}" if self.failures else ""
        raise HpsearchError(f"no trial of study {self._study.name} is complete{why}")

    @property
    def results(self) -> "Results":
        """The study's trials and curves as frames, and figures of them."""
        from hpsearch.plots.results import Results

        return Results(self.place, study=self._study.name)

    @property
    def findings(self) -> Sequence[Finding]:
        """What the doctor finds wrong with the search, gravest first."""
        if self._search is None:
            return []
        [diagnosis] = diagnose_searches(self.place, searches=[self._search])
        return diagnosis.findings

    def _parts(self) -> Iterator[Any]:
        from hpsearch.console import findings, tables

        yield "every trial failed" if self.all_failed else f"{self._study.name}: {_ENDS[self.end]}"
        if self.ranking:
            yield from tables.describe_ranking(list(self.ranking), top=10, gain=self.ranking.gain)
        yield from tables.describe_failures(self.failures)
        yield from findings.describe_findings_of_run(self.place, self._search)
