"""Two trials over each other: their difference, tested on the same folds, and their curves."""

from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.core import ties
from hpsearch.core.difference import ValueDifference, compare_values
from hpsearch.core.errors import HpsearchError
from hpsearch.core.html_repr import table
from hpsearch.core.metric import higher_is_better
from hpsearch.python_api.stored_trial import StoredTrial
from hpsearch.results.parameter_axes import describe_differences
from hpsearch.store import COMPARED, Url

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TrialComparison:
    """Two trials, compared.

    Args:
        place: of their store.
        first, second: the trials.

    Attributes:
        difference: by how much the first one's value is larger, with its standard error; over all
            trainings of both.
        better: the trial with the better value.

    Raises HpsearchError where their values may not be compared.
    """

    def __init__(self, place: Path | Url, first: StoredTrial, second: StoredTrial) -> None:
        self._place, self.first, self.second = place, first, second
        a, b = first.comparison, second.comparison
        if a is None or b is None or a != b:
            pairs = zip(COMPARED, a or (), b or (), strict=False)
            differ = [f"{name} {one} and {other}" for name, one, other in pairs if one != other]
            raise HpsearchError(
                f"trials {first.trial} and {second.trial} do not compare: "
                + ("; ".join(differ) or "--fresh put the search of one aside")
            )
        self.difference = _compare(first, second)
        direction = a[COMPARED.index("direction")]
        first_is_better = (self.difference.value > 0) == higher_is_better(direction)
        self.better = first if first_is_better else second

    def plot(self, *, metric: str | None = None, smooth: float = 0.9) -> "Figure":
        """Draw the curves of both over each other, as `Results.compare` does."""
        from hpsearch.plots.results import Results

        trials = self.first.trial, self.second.trial
        return Results(self._place).compare(*trials, metric=metric, smooth=smooth)

    def _facts(self) -> list[tuple[str, str]]:
        from hpsearch.results.formatting import format_with_error

        pair = (self.first, self.second)
        points = describe_differences({each.trial: each.params for each in pair})
        found = [
            (
                f"trial {each.trial}",
                f"{format_with_error(each.value, each.se)}  {points[each.trial]}",
            )
            for each in pair
            if each.value is not None
        ]
        error = "" if self.difference.se is None else f" ± {self.difference.se:.4f}"
        text = f"{self.difference.value:+.4f}{error}, {self.difference.verdict}"
        return [*found, ("difference", text)]

    def __repr__(self) -> str:
        return "\n".join(f"{name:>12}  {text}" for name, text in self._facts())

    def _repr_html_(self) -> str:
        return table((), self._facts(), str(self.first.details["metric"]))


def _compare(first: StoredTrial, second: StoredTrial) -> ValueDifference:
    """The difference of two trials, paired over folds and over seeds."""
    paired: list[list[float]] = []
    if first.score.splits and first.score.splits == second.score.splits:
        values = (
            {
                (number, fold): value
                for number, score in trial.trainings.items()
                for fold, value in enumerate(score.at_best)
            }
            for trial in (first, second)
        )
        paired = ties.pair_trainings(*values)
    assert first.value is not None
    assert second.value is not None
    return compare_values(
        (first.value, first.se),
        (second.value, second.se),
        paired,
        first.score.validation_share,
    )
