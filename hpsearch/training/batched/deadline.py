"""Which members of a batch go on first, where not all of them can end before the run's deadline."""

from collections.abc import Callable, Sequence

from hpsearch.training.batched.member import BatchMember


def choose_in_time(
    members: Sequence[BatchMember], epoch_seconds: Callable[[int], float], seconds_left: float
) -> list[BatchMember]:
    """The members that go on, so that as many as possible end in time; the others wait.

    All of them go on where all end in time, and where not even one would.

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
    if not in_time:
        return list(members)
    chosen = set(first[: max(in_time)])
    return [member for member in members if member in chosen]
