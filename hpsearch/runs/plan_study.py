"""What a study will cost, before it runs."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch.core.errors import NoStoreError, OldStoreError
from hpsearch.core.plan import Budget, Plan
from hpsearch.runs.study import StudyDefinition
from hpsearch.searchers.base import plan_search
from hpsearch.store import Store, Url, measure_pace


@dataclass(frozen=True, slots=True, repr=False)
class StudyPlan:
    """What a search of a study will cost.

    Args:
        cost: its trials and epochs.
        budget: of the run that is planned.
        pace: how many trials of the study were timed, and the seconds that an epoch of them took;
            None before any.
    """

    study: StudyDefinition
    cost: Plan
    budget: Budget
    pace: tuple[int, float] | None

    @property
    def seconds(self) -> float | None:
        """How long the search takes with one worker; None before any trial was timed."""
        return None if self.pace is None else self.cost.epochs * self.pace[1]

    @property
    def fits(self) -> float | None:
        """The share of the search that fits into the budget; None where that is not known."""
        known = self.cost.expected_epochs
        return None if known is None else self.budget.affordable_share(known, self.seconds)


def plan_study(study: StudyDefinition, store: Path | Url, budget: Budget) -> StudyPlan:
    """Count a study's search, and take the pace from its trials in the store, if there are any."""
    cost = plan_search(study.searcher, study.space, seed=study.seed, first=study.first_points)
    pace = None
    with suppress(NoStoreError, OldStoreError), Store(store) as opened:
        pace = measure_pace(opened, study.name)
    return StudyPlan(study, cost, budget, pace)
