"""A running search on the terminal: a line for each trial that ends."""

from rich.console import Console
from rich.status import Status

from hpsearch.report.tables import measured, point
from hpsearch.task import Metric
from hpsearch.trial import Outcome, Suggestion


class Lines:
    """Prints a line when a trial ends; on a terminal also shows what runs."""

    def __init__(self, console: Console, metric: Metric, *, told: int, planned: int) -> None:
        self.console, self.metric = console, metric
        self.told, self.planned = told, planned
        self.best: tuple[float, int] | None = None
        self.failures: list[str] = []
        self._running: dict[int, Suggestion] = {}
        self._status = Status("", console=console) if console.is_terminal else None

    def started(self, id_: int, suggestion: Suggestion) -> None:
        self._running[id_] = suggestion
        if self._status is not None:
            self._status.update(
                "; ".join(f"trial {i}: {point(s.params)}" for i, s in self._running.items())
            )
            self._status.start()

    def ended(self, id_: int, suggestion: Suggestion, outcome: Outcome) -> None:
        self._running.pop(id_, None)
        self.told += 1
        if not self._running:
            self.stop()
        result = self._result(id_, outcome)
        self.console.print(
            f"\\[{self.told}/{self.planned}] trial {id_}  {result}  {outcome.seconds:.1f} s  "
            f"{point(suggestion.params)}",
            soft_wrap=True,
        )

    def seen(self, id_: int, value: float) -> None:
        """Take a trial of an earlier run into account for what is best so far."""
        if self.best is None or self.metric.best([self.best[0], value]) == 1:
            self.best = value, id_

    def stop(self) -> None:
        if self._status is not None:
            self._status.stop()

    def _result(self, id_: int, outcome: Outcome) -> str:
        if outcome.score is None:
            failure = outcome.failure
            text = f"{failure.kind}: {failure.message}" if failure else "no result"
            self.failures.append(text)
            return f"failed ({text})".replace("[", "\\[")
        self.seen(id_, outcome.score.value)
        assert self.best is not None
        mark = (
            "best so far"
            if self.best[1] == id_
            else f"best {self.best[0]:.4g} (trial {self.best[1]})"
        )
        return f"{self.metric.name} {measured(outcome.score.value, outcome.score.se)}  {mark}"
