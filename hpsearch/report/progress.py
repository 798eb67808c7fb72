"""A running search on the terminal: a line for each trial that ends."""

import logging
from typing import Self

from rich.console import Console
from rich.status import Status

from hpsearch.parameters import text_of_point
from hpsearch.report.tables import measured
from hpsearch.task import Metric
from hpsearch.trial import Outcome, Suggestion

_LOG = logging.getLogger("hpsearch.searchers")


class Lines(logging.Handler):
    """Prints a line when a trial ends, and what the search logs; on a terminal also what runs.

    A context: inside it the searchers' decisions are heard.
    """

    def __init__(self, console: Console, metric: Metric, planned: int) -> None:
        super().__init__(logging.INFO)
        self._console, self._metric, self._planned = console, metric, planned
        self._told = 0
        self._best: tuple[float, int] | None = None
        self._running: dict[int, Suggestion] = {}
        self._status = Status("", console=console) if console.is_terminal else None

    def __enter__(self) -> Self:
        self._level = _LOG.level
        _LOG.addHandler(self)
        _LOG.setLevel(logging.INFO)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        _LOG.removeHandler(self)
        _LOG.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), markup=False, soft_wrap=True)

    def started(self, id_: int, suggestion: Suggestion) -> None:
        self._running[id_] = suggestion
        if self._status is not None:
            self._status.update(
                "; ".join(f"trial {i}: {text_of_point(s.params)}" for i, s in self._running.items())
            )
            self._status.start()

    def ended(self, id_: int, suggestion: Suggestion, outcome: Outcome) -> None:
        self._running.pop(id_, None)
        if not self._running:
            self.stop()
        self.seen(id_, outcome)
        self._console.print(
            f"[{self._told}/{self._planned}] trial {id_}  {self._result(id_, outcome)}  "
            f"{outcome.seconds:.1f} s  {text_of_point(suggestion.params)}",
            markup=False,
            soft_wrap=True,
        )

    def repeated(self, id_: int, repeat: int, outcome: Outcome, value: float) -> None:
        """A trial was trained anew with fresh seeds; value: of all its trainings."""
        failure = outcome.failure
        own = (
            f"{self._metric.name} {measured(outcome.score.value, outcome.score.se)}"
            if outcome.score
            else f"failed ({failure.kind}: {failure.message})"
            if failure
            else "failed"
        )
        self._console.print(
            f"trial {id_}, repeat {repeat}  {own}  over all its trainings {value:.4f}  "
            f"{outcome.seconds:.1f} s",
            markup=False,
            soft_wrap=True,
        )

    def stopping(self, running: int) -> None:
        """Say why nothing new begins."""
        if running:
            self._console.print(
                f"stopping: {running} running trial{'s' if running > 1 else ''} may reach the "
                "next checkpoint; another Ctrl-C stops at once",
                soft_wrap=True,
            )

    def seen(self, id_: int, outcome: Outcome) -> None:
        """Count a trial, of this run or an earlier one, and keep the best."""
        self._told += 1
        if outcome.score is not None:
            value = outcome.score.value
            if self._best is None or self._metric.best([self._best[0], value]) == 1:
                self._best = value, id_

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()

    def _result(self, id_: int, outcome: Outcome) -> str:
        if outcome.score is None or self._best is None:
            failure = outcome.failure
            return f"failed ({failure.kind}: {failure.message})" if failure else "failed"
        text = f"{self._metric.name} {measured(outcome.score.value, outcome.score.se)}"
        best, best_id = self._best
        return f"{text}  {'best' if best_id == id_ else f'best {best:.4g} (trial {best_id})'}"
