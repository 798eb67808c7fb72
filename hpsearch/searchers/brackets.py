"""The arithmetic of successive halving, in whole numbers."""

from hpsearch.core.rules import MOST_EPOCHS, brief


def rungs(max_epochs: int, eta: int, min_epochs: int = 1) -> list[int]:
    """The total epochs of each rung, in ascending order, from min_epochs or more to max_epochs.

    Each is max_epochs divided by a power of eta, rounded to the nearest whole number. Logarithms
    are not used: in floats log(243, 3) is less than 5.

    >>> rungs(81, 3), rungs(100, 3), rungs(9, 3, min_epochs=2)
    ([1, 3, 9, 27, 81], [1, 4, 11, 33, 100], [3, 9])
    """
    epochs, divisor = [max_epochs], eta
    while max_epochs // divisor >= min_epochs:
        epochs.append((2 * max_epochs + divisor) // (2 * divisor))
        divisor *= eta
    return epochs[::-1]


def brackets(max_epochs: int, eta: int, min_epochs: int = 1) -> list[list[tuple[int, int]]]:
    """Hyperband's brackets of (trials, total epochs) rungs (Li et al., JMLR 18, 2018, Alg. 1).

    The first bracket halves most often. A bracket with s + 1 of the s_max + 1 possible rungs begins
    with ceil((s_max + 1) / (s + 1) * eta**s) trials, and each rung keeps one in eta.

    >>> brackets(9, 3)
    [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]
    """
    epochs = rungs(max_epochs, eta, min_epochs)
    most = len(epochs) - 1
    found = []
    for s in range(most, -1, -1):
        trials = -(-(most + 1) * eta**s // (s + 1))
        found.append([(trials // eta**i, epochs[most - s + i]) for i in range(s + 1)])
    return found


def check_halving(method: str, max_epochs: int, eta: int, min_epochs: int) -> None:
    """Raise ValueError for options that make no rungs."""
    for name, value in (("max_epochs", max_epochs), ("eta", eta), ("min_epochs", min_epochs)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{method} needs a whole {name}, got {name}={brief(value)}")
        if value > MOST_EPOCHS:
            raise ValueError(f"{method} needs {name} <= {MOST_EPOCHS:,}, got {name}={brief(value)}")
    if eta < 2:
        raise ValueError(f"{method} needs eta >= 2, got eta={eta}; each rung keeps one in eta")
    if not 1 <= min_epochs <= max_epochs:
        raise ValueError(
            f"{method} needs 1 <= min_epochs <= max_epochs, got min_epochs={min_epochs} and "
            f"max_epochs={max_epochs}"
        )
