"""A running search, told by a line for each trial that ends."""

from hpsearch.core.parameters import text_of_point
from hpsearch.core.task import Metric
from hpsearch.core.trial import Failure, Outcome, Suggestion
from hpsearch.results.formatting import format_with_error


class TrialLines:
    """The lines of one run. It counts trials and knows the best one so far.

    Args:
        planned: how many trials there will be, as text.
    """

    def __init__(self, metric: Metric, planned: str) -> None:
        self._metric, self._planned = metric, planned
        self._ended = 0
        self._best: tuple[float, int] | None = None

    def count(self, trial: int, outcome: Outcome) -> None:
        """Count a trial, of this run or an earlier one, and keep the best."""
        self._ended += 1
        if outcome.score is not None:
            value = outcome.score.value
            if self._best is None or self._metric.best([self._best[0], value]) == 1:
                self._best = value, trial

    def of_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> str:
        """Count a trial that ended now, and return its line."""
        self.count(trial, outcome)
        best = ""
        if outcome.score:
            assert self._best is not None
            value, best_trial = self._best
            best = said_best(trial, best_trial, value)
        return line(
            f"[{self._ended}/{self._planned}] trial {trial}",
            self._result(outcome),
            best,
            f"{outcome.seconds:.1f} s",
            text_of_point(suggestion.params),
        )

    def of_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> str:
        """The line of a repeat, a training with fresh seeds. value: over all its trainings."""
        return line(
            f"trial {trial}, repeat {repeat}",
            self._result(outcome),
            f"all its trainings together {value:.4f}",
            f"{outcome.seconds:.1f} s",
        )

    def _result(self, outcome: Outcome) -> str:
        value, se = (outcome.score.value, outcome.score.se) if outcome.score else (None, None)
        return result(self._metric.name, value, se, outcome.failure)


def line(*parts: str) -> str:
    """What happened, in one line.

    >>> line("trial 3", "", "2.0 s")
    'trial 3  2.0 s'
    """
    return "  ".join(part for part in parts if part)


def result(metric: str, value: float | None, se: float | None, failure: Failure | None) -> str:
    """How a training ended.

    >>> result("mae", 2.5, None, None), result("mae", None, None, Failure("nan", "loss became nan"))
    ('mae 2.5', 'failed (nan: loss became nan)')
    """
    if value is not None:
        return f"{metric} {format_with_error(value, se)}"
    return f"failed ({failure.kind}: {failure.message})" if failure else "failed"


def said_best(id_: int, best: int, value: float) -> str:
    """Whether a trial is the best so far, or which one is."""
    return "best" if best == id_ else f"best {value:.4g} (trial {best})"
