"""A running search, told by a line for each trial that ends."""

import logging
from typing import Self

from rich.console import Console

from hpsearch.core.parameters import text_of_point
from hpsearch.core.task import Metric
from hpsearch.core.trial import Failure, Outcome, Suggestion
from hpsearch.results.texts import format_with_error

_LOG = logging.getLogger("hpsearch.searchers")


class Lines(logging.Handler):
    """Prints a line when a trial ends, and what the search logs.

    A context: inside it the searchers' decisions are heard.
    """

    def __init__(self, console: Console, metric: Metric, planned: str) -> None:
        super().__init__(logging.INFO)
        self._console, self._metric, self._planned = console, metric, planned
        self._told = 0
        self._best: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        self._level = _LOG.level
        _LOG.addHandler(self)
        _LOG.setLevel(logging.INFO)
        return self

    def __exit__(self, *error: object) -> None:
        _LOG.removeHandler(self)
        _LOG.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        self._print(record.getMessage())

    def continuing(self, told: int) -> None:
        if told:
            self._print(f"continuing after {told} trials")

    def ended(self, id_: int, suggestion: Suggestion, outcome: Outcome) -> None:
        self.seen(id_, outcome)
        self._print(
            line(
                f"[{self._told}/{self._planned}] trial {id_}",
                self._result(outcome),
                self._best_said(id_) if outcome.score else "",
                f"{outcome.seconds:.1f} s",
                text_of_point(suggestion.params),
            )
        )

    def repeated(self, id_: int, repeat: int, outcome: Outcome, value: float) -> None:
        """A trial was trained anew with fresh seeds; value: of all its trainings."""
        self._print(
            line(
                f"trial {id_}, repeat {repeat}",
                self._result(outcome),
                f"all its trainings together {value:.4f}",
                f"{outcome.seconds:.1f} s",
            )
        )

    def stopping(self, running: int) -> None:
        """Say why nothing new begins."""
        if running:
            self._print(
                f"stopping: {running} running trial{'s' if running > 1 else ''} may reach the "
                "next checkpoint; another Ctrl-C stops at once"
            )

    def seen(self, id_: int, outcome: Outcome) -> None:
        """Count a trial, of this run or an earlier one, and keep the best."""
        self._told += 1
        if outcome.score is not None:
            value = outcome.score.value
            if self._best is None or self._metric.best([self._best[0], value]) == 1:
                self._best = value, id_

    def _result(self, outcome: Outcome) -> str:
        value, se = (outcome.score.value, outcome.score.se) if outcome.score else (None, None)
        return result(self._metric.name, value, se, outcome.failure)

    def _best_said(self, id_: int) -> str:
        assert self._best is not None
        value, best = self._best
        return said_best(id_, best, value)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


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
