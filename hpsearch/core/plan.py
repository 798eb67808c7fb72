"""How many trials and epochs a search takes, counted before it runs."""

from dataclasses import dataclass

from hpsearch.core.option_text import check_counts
from hpsearch.core.rules import MOST_COUNTED, brief, why_no_number


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may take.

    Args:
        hours: of the run.
        epochs: of all its trials together.
    """

    hours: float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.hours is not None and (why_no_number(self.hours) or self.hours <= 0):
            raise ValueError(f"Budget needs hours > 0, got hours={brief(self.hours)}")
        check_counts(self, most_epochs=MOST_COUNTED, epochs=self.epochs)

    def affordable_share(self, epochs: int, seconds: float | None) -> float | None:
        """The share, at most 1, of a search of so many epochs and seconds that fits the budget.

        None where there is no budget, or where it is not known how long the search takes.

        >>> Budget(hours=1.0, epochs=50).affordable_share(100, 14400.0)
        0.25
        >>> Budget(hours=1.0).affordable_share(100, None)
        """
        shares = [1.0]
        if self.epochs is not None:
            shares.append(self.epochs / epochs)
        if self.hours is not None and seconds:
            shares.append(3600 * self.hours / seconds)
        return min(shares) if len(shares) > 1 else None


@dataclass(frozen=True, slots=True)
class Rung:
    """Trials that are trained to `epochs` epochs in total."""

    trials: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How many trials and epochs a search takes.

    An epoch here is one of a trial; k-fold evaluators train it once for each fold.

    Args:
        epochs: that are trained.
        epochs_from_scratch: that would be trained if no trial continued another.
        brackets: the trials by rung. Trials that begin with the same epochs make one bracket; those
            that continue them are its higher rungs. A method that continues nothing has one rung.
        complete: whether the search was counted to its end; else it takes at least this much.
        most_epochs: where it was not, the most epochs that it takes, if they are known.
    """

    trials: int
    epochs: int
    epochs_from_scratch: int
    brackets: tuple[tuple[Rung, ...], ...] = ()
    complete: bool = True
    most_epochs: int | None = None

    @property
    def trials_text(self) -> str:
        """How many trials, as text; with a plus where there are more.

        >>> Plan(1200, 2400, 2400, complete=False).trials_text
        '1,200+'
        """
        return f"{self.trials:,}{'' if self.complete else '+'}"

    @property
    def exact_trials(self) -> int | None:
        """How many trials the search has; None where it was not counted to its end.

        >>> Plan(8, 80, 80).exact_trials, Plan(2, 20, 20, complete=False).exact_trials
        (8, None)
        """
        return self.trials if self.complete else None

    @property
    def expected_epochs(self) -> int | None:
        """The epochs that the search takes in all, or the most; None where neither is known."""
        return self.epochs if self.complete else self.most_epochs

    @property
    def totals(self) -> dict[str, int | bool]:
        """The counts without the brackets, as plain JSON."""
        return {
            "trials": self.trials,
            "epochs": self.epochs,
            "epochs_from_scratch": self.epochs_from_scratch,
            "complete": self.complete,
        }
