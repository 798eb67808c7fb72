"""One line for each trial of a running search that ends."""

from hpsearch.core.metric import Metric
from hpsearch.core.parameters import point_text
from hpsearch.core.trial import Failure, Outcome, Suggestion
from hpsearch.results.formatting import format_with_error


class TrialLines:
    """Formats the lines of one run. It counts trials and remembers the best one.

    Args:
        metric: of the trials' values.
        planned: how many trials there will be; None where only a lower bound is known.
    """

    def __init__(self, metric: Metric, planned: int | None) -> None:
        self._metric, self._planned = metric, planned
        self._ended = 0
        self._best: tuple[float, int] | None = None

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        """Count a trial of this run or of an earlier one, and remember the best."""
        self._ended += 1
        if outcome.score is not None:
            value = outcome.score.value
            if self._best is None or self._metric.best([self._best[0], value]) == 1:
                self._best = value, trial

    def format_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> str:
        """Count a trial that ended now, and return its line."""
        self.count_trial(trial, outcome)
        best = ""
        if outcome.score:
            assert self._best is not None
            value, best_trial = self._best
            best = format_best(trial, best_trial, value)
        return join_parts(
            f"{format_tick(self._ended, self._planned)} trial {trial}",
            self._format_outcome(outcome),
            best,
            f"{outcome.seconds:.1f} s",
            point_text(suggestion.params),
        )

    def format_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> str:
        """Return the line of a repeat that ended now. value: over all trainings of the trial."""
        return join_parts(
            f"trial {trial}, repeat {repeat}",
            self._format_outcome(outcome),
            f"over all its trainings {value:.4f}",
            f"{outcome.seconds:.1f} s",
        )

    def _format_outcome(self, outcome: Outcome) -> str:
        value, se = (outcome.score.value, outcome.score.se) if outcome.score else (None, None)
        return format_result(self._metric.name, value, se, outcome.failure)


class LineDisplay:
    """What displays have in common that show a line for each trial. Subclasses have `show_line`.

    It begins with `begin_lines`; before that, no trial can be shown.
    """

    how_to_stop_at_once = "press Ctrl-C again"
    _trial_lines: TrialLines

    def show_line(self, text: str) -> None:
        raise NotImplementedError

    def begin_lines(self, metric: Metric, planned: int | None) -> None:
        """Begin with a search. Arguments as `TrialLines` has them."""
        self._trial_lines = TrialLines(metric, planned)

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        self._trial_lines.count_trial(trial, outcome)

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        self.show_line(self._trial_lines.format_trial(trial, suggestion, outcome))

    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        self.show_line(self._trial_lines.format_repeat(trial, repeat, outcome, value))

    def show_stopping(self, running: int) -> None:
        if running:
            many, whose = (
                (f"{running} running trials", "their")
                if running > 1
                else ("1 running trial", "its")
            )
            how = (
                f"; {self.how_to_stop_at_once} to stop at once" if self.how_to_stop_at_once else ""
            )
            self.show_line(f"stopping {many} at the end of {whose} epoch{how}")


def format_tick(ended: int, planned: int | None) -> str:
    """How many trials ended, and of how many where that is known.

    >>> format_tick(3, 1200), format_tick(15, None)
    ('[3/1,200]', '[15]')
    """
    return f"[{ended}]" if planned is None else f"[{ended}/{planned:,}]"


def join_parts(*parts: str) -> str:
    """Join the parts that are not empty to one line.

    >>> join_parts("trial 3", "", "2.0 s")
    'trial 3  2.0 s'
    """
    return "  ".join(part for part in parts if part)


def format_result(
    metric: str, value: float | None, se: float | None, failure: Failure | None
) -> str:
    """The value of a training, or why it failed.

    >>> format_result("mae", 2.5, None, None)
    'mae 2.5'
    >>> format_result("mae", None, None, Failure("nan", "loss became nan"))
    'failed (nan: loss became nan)'
    """
    if value is not None:
        return f"{metric} {format_with_error(value, se)}"
    return f"failed ({failure.kind}: {failure.message})" if failure else "failed"


def format_best(id_: int, best: int, value: float) -> str:
    """Say that a trial is the best so far, or which one is. value: the best trial's."""
    return "best" if best == id_ else f"best {value:.4g} (trial {best})"
