"""Which members go on first, where not all of them can end before the run's deadline."""

from collections.abc import Callable, Sequence

from hpsearch.training.batched.member import BatchMember


class NoneInTime(Exception):
    """No member of a batch would end before the deadline, and others might."""


def choose_in_time(
    members: Sequence[BatchMember], epoch_seconds: Callable[[int], float], seconds_left: float
) -> list[BatchMember]:
    """The members that go on, so that as many as possible end in time; the others wait.

    An empty list where not even one would.

    Args:
        members: those that train side by side.
        epoch_seconds: what an epoch of so many takes.
        seconds_left: until the deadline.
    """
    # Those with the fewest epochs left first; of a trial, all folds: their indices follow each other.
    first = sorted(members, key=lambda member: (member.history.epochs_left, member.index))
    in_time = [
        count
        for count, last in enumerate(first, 1)
        if last.history.epochs_left * epoch_seconds(count) <= seconds_left
    ]
    chosen = set(first[: max(in_time, default=0)])
    return [member for member in members if member in chosen]
