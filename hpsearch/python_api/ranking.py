"""A ranking that shows itself in notebooks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch import store as stores
from hpsearch.core.errors import HpsearchError
from hpsearch.python_api.shown_parts import ShownParts
from hpsearch.results.baseline_gain import BaselineGain, find_gain
from hpsearch.store import ALL_TRIALS, RankedTrial, Store, TrialFilter, Url

if TYPE_CHECKING:
    import pandas as pd

_TOP = 20  # rows that are shown


class Ranking(ShownParts, Sequence[RankedTrial]):
    """Trials whose values compare, best first.

    `len(ranking)`, `ranking[0].params` and `for row in ranking` give `hpsearch.store.RankedTrial`.

    Args:
        rows: of the ranking.
        by_own: whether it is by the task's own metric.
        top: how many rows are shown; `frame` has all.
        others: other rankings of the same name, which do not compare with this one, in words.
        gain: what its best trial brought over its best baseline; None where it has no baseline.
    """

    def __init__(
        self,
        rows: Sequence[RankedTrial],
        *,
        by_own: bool = True,
        top: int = _TOP,
        others: Sequence[str] = (),
        gain: BaselineGain | None = None,
    ) -> None:
        self._rows, self._by_own, self._top, self._others = list(rows), by_own, top, list(others)
        self.gain = gain

    def __getitem__(self, place: Any) -> Any:
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranking) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    @property
    def frame(self) -> "pd.DataFrame":
        """A row a trial, by its id; each parameter x has a column `params_x`.

        Baselines have their names in the column `baseline`, and no parameters.
        """
        import pandas as pd

        records = [row.to_json() for row in self._rows]
        points = [
            {f"params_{k}": v for k, v in params.items()} if each["baseline"] is None else {}
            for each, params in [(each, each.pop("params")) for each in records]
        ]
        frame = pd.DataFrame([{**r, **p} for r, p in zip(records, points, strict=True)])
        return frame.set_index("trial") if len(frame) else frame

    def _parts(self) -> Iterator[Any]:
        from hpsearch.console import tables

        if not self._rows:
            yield "no trial is complete yet"
            return
        yield from tables.describe_ranking(
            self._rows, top=self._top, by_own=self._by_own, gain=self.gain
        )
        for other in self._others:
            yield f"does not compare with these, and has a ranking of its own: {other}"


def read_ranking(
    place: Path | Url,
    *,
    study: str | None = None,
    task: str | None = None,
    evaluator: str | None = None,
    metric: str | None = None,
    top: int = _TOP,
    only: TrialFilter = ALL_TRIALS,
) -> Ranking:
    """All trials of a task that compare with each other; where there are several such sets, the one
    with the latest trial.

    Args:
        study: only trials that compare with one of this study's.
        task: only trials of this task.
        evaluator: only trials of this evaluator, by its label.
        metric: rank by this metric, recorded beside the task's own.
        only: rank these trials among themselves; the study's own need not be among them.

    Raises HpsearchError where there is no such trial.
    """
    with Store(place) as store:
        found = _rank(store, task, metric, only, study)
        found = [each for each in found if evaluator in (None, each[0][0].evaluator)]
        found.sort(key=lambda each: max(row.trial for row in each[0]))
        gain = None
        if found:
            rows, by_own = found[-1]
            gain = find_gain(store, rows, metric=None if by_own else metric)
    if not found:
        named = {"study": study, "task": task, "evaluator": evaluator, "metric": metric}
        of = ", ".join(f"{what} {name}" for what, name in named.items() if name is not None)
        of = ", ".join(filter(None, [of, str(only) if only else ""]))
        raise HpsearchError(f"the store {place} has no complete trial{f' of {of}' if of else ''}")
    *others, (rows, by_own) = found
    labels = [_describe_rows(other[0]) for other, _ in others]
    return Ranking(rows, by_own=by_own, top=top, others=labels, gain=gain)


def _rank(
    store: Store, task: str | None, metric: str | None, only: TrialFilter, study: str | None
) -> list[tuple[list[RankedTrial], bool]]:
    """Each set of trials that compare, best first, and whether it is by the task's own metric."""
    from hpsearch.results.metric_values import standard_error

    if metric is None:
        return [(rows, True) for rows in stores.rank_tasks(store, task, only, study)]
    by_metric = stores.rank_by_metric(store, task, metric, standard_error, only, study)
    return [(each.rows, each.by_own) for each in by_metric if each.rows]


def _describe_rows(row: RankedTrial) -> str:
    """What trials that compare with this one have in common, in words."""
    return f"{row.task}: {row.measure}, {row.evaluator}, data {row.data}"
