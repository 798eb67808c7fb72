"""`hpsearch.open`: a store, with what can be read from it and done with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch import store as stores
from hpsearch.core.errors import HpsearchError
from hpsearch.core.html_repr import table
from hpsearch.python_api.comparison import TrialComparison
from hpsearch.python_api.ranking import Ranking, read_ranking
from hpsearch.python_api.stored_trial import StoredTrial
from hpsearch.runs.arguments import parse_arguments
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import Store, TrialFilter, Url, default_place, parse_place

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.plots.results import Results


class OpenedStore:
    """A store as Python sees it. Each call reads it anew, so that a running search shows.

    Args:
        place: its file or URL.

    Raises StoreError where there is none.
    """

    def __init__(self, place: Path | Url) -> None:
        self.place = place
        with Store(place):
            pass

    @property
    def studies(self) -> "pd.DataFrame":
        """A row a search: study, task, searcher, evaluator, how many trials, the best of them."""
        import pandas as pd

        with Store(self.place) as store:
            return pd.DataFrame(stores.list_studies(store))

    @property
    def results(self) -> "Results":
        """All trials and curves as frames, and figures of them."""
        from hpsearch.plots.results import Results

        return Results(self.place)

    def rank(
        self,
        name: str | None = None,
        *,
        metric: str | None = None,
        evaluator: str | None = None,
        top: int = 20,
        tags: Sequence[str] = (),
        only_studies: Sequence[str] = (),
        only_searchers: Sequence[str] = (),
    ) -> Ranking:
        """The trials of a task, best first, or those that compare with a study's.

        Args:
            name: of a task, a study or a study's file; None: the task of the latest trial.
            metric: rank by this metric, recorded beside the task's own.
            evaluator: only trials of this evaluator, by its label.
            top: how many rows are shown.
            tags, only_studies, only_searchers: as `Study.rank` has them.

        Raises HpsearchError where the store has nothing of this name, or no complete trial of it.
        """
        given = {"tags": tags, "only_studies": only_studies, "only_searchers": only_searchers}
        some = parse_arguments(given, dict.fromkeys(given, ()))
        only = TrialFilter(some["only_studies"], some["only_searchers"], some["tags"])
        study, task = (None, None) if name is None else find_study_or_task(name, self.place)
        return read_ranking(
            self.place,
            study=study,
            task=task,
            evaluator=evaluator,
            metric=metric,
            top=top,
            only=only,
        )

    def best(
        self,
        name: str | None = None,
        *,
        evaluator: str | None = None,
        study: StudyDefinition | None = None,
    ) -> StoredTrial:
        """The best trial of a study or of a task.

        Args:
            name, evaluator: as `rank` has them.
            study: the study itself, for `refit`, where the store names no file of it.
        """
        of_study, _ = (None, None) if name is None else find_study_or_task(name, self.place)
        ranking = self.rank(name, evaluator=evaluator)
        row = next(row for row in ranking if of_study in (None, row.study))
        return StoredTrial(self.place, row.trial, study)

    def trial(self, trial: int, *, study: StudyDefinition | None = None) -> StoredTrial:
        """A trial by its number. study: as `best` has it. Raises StoreError where there is none."""
        return StoredTrial(self.place, trial, study)

    def compare(self, first: int, second: int) -> TrialComparison:
        """Two trials by their numbers: the difference of their values, tested on the same folds."""
        if first == second:
            raise HpsearchError(f"compare two different trials, got {first} twice")
        return TrialComparison(self.place, self.trial(first), self.trial(second))

    def __repr__(self) -> str:
        with Store(self.place) as store:
            names = dict.fromkeys(record.study for record in store.searches())
        return f"OpenedStore({str(self.place)!r}): {', '.join(names) or 'no study yet'}"

    def _repr_html_(self) -> str:
        with Store(self.place) as store:
            found = stores.list_studies(store)
        names = ("study", "task", "searcher", "evaluator", "trials", "metric", "best", "best_trial")
        rows = [["" if each[n] is None else each[n] for n in names] for each in found]
        return table(names, rows, str(self.place))


def open(store: str | Path | Url | None = None) -> OpenedStore:
    """Open a store to look at what its searches found.

    Args:
        store: its file, or its URL; None: $HPSEARCH_STORE, else .hpsearch/store.db.

    Raises StoreError where there is none.
    """
    return OpenedStore(default_place() if store is None else parse_place(store))
