"""`hpsearch.open`: a store, with what can be read from it and done with it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch import store as stores
from hpsearch.core.errors import HpsearchError
from hpsearch.core.files import folder_at
from hpsearch.core.html_repr import table
from hpsearch.python_api import parsing
from hpsearch.python_api.comparison import TrialComparison
from hpsearch.python_api.diagnoses import Diagnoses, diagnose
from hpsearch.python_api.ranking import Ranking, read_ranking
from hpsearch.python_api.stored_trial import StoredTrial
from hpsearch.runs import disk, removal
from hpsearch.runs.arguments import make_filter
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import Store, Url, default_place, parse_place

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
        tags: str | Sequence[str] = (),
        searchers: str | Sequence[str] = (),
        studies: str | Sequence[str] = (),
        top: int = 20,
    ) -> Ranking:
        """The trials of a task, best first, or those that compare with a study's.

        Args:
            name: of a task, a study or a study's file; None: the task of the latest trial.
            metric: rank by this metric, recorded beside the task's own.
            evaluator: only trials of this evaluator, by its label.
            tags: only trials that have all of these tags, or whose study has.
            searchers, studies: only trials of any of these, such as "hyperband". Trials that are
                left out are not ranked either.
            top: how many rows are shown.

        Raises HpsearchError where the store has nothing of this name, or no complete trial of it.
        """
        given = {"tags": tags, "searchers": searchers, "studies": studies}
        only = make_filter(parsing.parse_call(OpenedStore.rank, given))
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
        searched = [row for row in ranking if row.baseline is None]
        row = next((row for row in searched if of_study in (None, row.study)), None)
        if row is None:
            raise HpsearchError(f"{name or 'the store'} has baselines only, and no complete trial")
        return StoredTrial(self.place, row.trial, study)

    def trial(self, trial: int, *, study: StudyDefinition | None = None) -> StoredTrial:
        """A trial by its number. study: as `best` has it. Raises StoreError where there is none."""
        return StoredTrial(self.place, trial, study)

    def compare(self, first: int, second: int) -> TrialComparison:
        """Two trials by their numbers: the difference of their values, tested on the same folds."""
        if first == second:
            raise HpsearchError(f"compare two different trials, got {first} twice")
        return TrialComparison(self.place, self.trial(first), self.trial(second))

    def doctor(self, name: str | None = None) -> Diagnoses:
        """What is wrong with searches, on which figures that rests, and what to do.

        Args:
            name: of a study, its file or a task; None: all searches.
        """
        return diagnose(self.place, name)

    def tag(self, target: int | str, *tags: str, remove: bool = False) -> None:
        """Tag a trial, by its number, or a study; remove: take these tags away instead."""
        if not tags:
            raise HpsearchError('tag needs at least one tag, such as tag(3, "good")')
        with self._open_to_write() as store:
            found = stores.find_target(store, str(target))
            (stores.remove_tags if remove else stores.add_tags)(store, found, tags)

    def note(self, target: int | str, text: str) -> None:
        """Write the note of a trial or a study, instead of its earlier one; "" removes it."""
        with self._open_to_write() as store:
            stores.set_note(store, stores.find_target(store, str(target)), text)

    def rename(self, study: str, new: str) -> None:
        """Give a study another name in the store; its file and its cells go on with it.

        Raises StoreError while a run of it is going on.
        """
        with Store(self.place) as store:
            found = stores.find_target(store, f"{study.removesuffix('.py')}.py")
        removal.rename(self.place, found.study, new, _warn)

    def delete(self, target: int | str, *, checkpoints: str | Path | None = None) -> None:
        """Delete a trial or a study, with its checkpoints and kept models, without asking.

        Args:
            checkpoints: the folder or URL that its runs got as `checkpoints=`; None: the folder
                beside the store, where they are by default.

        Raises StoreError for a trial that has not ended, and for a study while it runs.
        """
        given = None if checkpoints is None else folder_at(str(checkpoints)).absolute()
        root = disk.checkpoint_root(self.place, given)
        with Store(self.place) as store:
            plan = removal.plan_removal(store, stores.find_target(store, str(target)), root)
        removal.remove(self.place, plan, _warn)

    def _open_to_write(self) -> Store:
        return Store(self.place, create=True)

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


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=2)


def open(store: str | Path | Url | None = None) -> OpenedStore:
    """Open a store to look at what its searches found.

    Args:
        store: its file, or its URL; None: $HPSEARCH_STORE, else .hpsearch/store.db.

    Raises StoreError where there is none.
    """
    return OpenedStore(default_place() if store is None else parse_place(store))
