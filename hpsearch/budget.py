"""What a search takes, counted before it is spent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """trials; epochs really trained; epochs if no trial continued another.

    An epoch here is one pass of one trial; k-fold evaluators train each of them once a fold.
    """

    trials: int
    epochs: int
    epochs_from_scratch: int
