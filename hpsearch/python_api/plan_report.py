"""What `study.plan` returns."""

from dataclasses import dataclass

from hpsearch.python_api.wording import parts_to_python
from hpsearch.runs.plan_study import StudyPlan


@dataclass(frozen=True, slots=True, repr=False)
class PlanReport(StudyPlan):
    __doc__ = StudyPlan.__doc__

    def __repr__(self) -> str:
        from hpsearch.console import html, tables

        return html.parts_to_text(
            parts_to_python(tables.describe_plan(self.study, self.cost, self.budget, self.pace))
        )

    def _repr_html_(self) -> str:
        from hpsearch.console import html, tables

        return html.parts_to_html(
            parts_to_python(tables.describe_plan(self.study, self.cost, self.budget, self.pace))
        )
