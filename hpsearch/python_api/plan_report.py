"""What `study.plan` returns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hpsearch.python_api.shown_parts import ShownParts
from hpsearch.runs.plan_study import StudyPlan


@dataclass(frozen=True, slots=True, repr=False)
class PlanReport(ShownParts, StudyPlan):
    __doc__ = StudyPlan.__doc__

    def _parts(self) -> Iterable[Any]:
        from hpsearch.console import tables

        return tables.describe_plan(self.study, self.cost, self.budget, self.pace)
