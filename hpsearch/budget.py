"""What a search takes, counted before it is spent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """Trials that are trained until they have `epochs` epochs in total."""

    trials: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Plan:
    """trials; epochs really trained; epochs if no trial continued another.

    brackets: the trials by their rungs; those that begin with the same epochs make one bracket, and
    those that continue them are its higher rungs. A method that continues nothing has one rung.
    An epoch here is one pass of one trial; k-fold evaluators train each of them once a fold.
    """

    trials: int
    epochs: int
    epochs_from_scratch: int
    brackets: tuple[tuple[Rung, ...], ...] = ()

    @property
    def totals(self) -> dict[str, int]:
        """The counts without the brackets, as plain JSON."""
        return {
            "trials": self.trials,
            "epochs": self.epochs,
            "epochs_from_scratch": self.epochs_from_scratch,
        }
