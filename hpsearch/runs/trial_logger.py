"""Tell the study's own `after_trial` of each trial that ended."""

from collections.abc import Callable

from hpsearch.core.errors import first_line
from hpsearch.core.trial import Outcome, Suggestion, TrialRecord
from hpsearch.runs.study import StudyDefinition


class TrialLogger:
    """Calls `Study(after_trial=...)`, whose errors are shown once and harm nothing.

    Each trial is told of at most once: after the journal has it, so that a run which is killed
    between the two leaves the call out.

    Args:
        study: the study.
        show_line: shows the first error.
    """

    def __init__(self, study: StudyDefinition, show_line: Callable[[str], None]) -> None:
        self._study, self._show_line, self._warned = study, show_line, False

    def log(self, trial: int, parent: int | None, suggestion: Suggestion, outcome: Outcome) -> None:
        """Tell of a trial. trial, parent: their ids in the store."""
        study = self._study
        if study.after_trial is None:
            return
        record = TrialRecord(
            study=study.name,
            task=study.task.name,
            metric=study.task.objective.name,
            direction=study.task.objective.direction,
            trial=trial,
            parent=parent,
            params=dict(suggestion.params),  # its own: the search goes on with the other one
            epochs=suggestion.epochs,
            outcome=outcome,
        )
        try:
            study.after_trial(record)
        except (Exception, SystemExit) as error:
            if not self._warned:
                self._warned = True
                self._show_line(
                    f"after_trial fails on trial {trial}: {first_line(error)}; the search goes on, "
                    "and later errors of it are not shown"
                )
