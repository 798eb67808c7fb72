"""Which trials of a store are shown: those of some studies, searchers or tags."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hpsearch.core.errors import StoreError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief, name_of_study
from hpsearch.store.labels import Labels
from hpsearch.store.records import SearchRecord


@dataclass(frozen=True, slots=True)
class TrialFilter:
    """Trials of any of these studies and of any of these searchers, with all of these tags.

    Args:
        studies: names of studies, or of their files.
        searchers: names of searchers, such as `hyperband`, or whole labels.
        tags: of the trial, or of its study.
    """

    studies: tuple[str, ...] = ()
    searchers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def check(self, searches: Sequence[SearchRecord], labels: Labels) -> None:
        """Raise StoreError for a study, searcher or tag that the store does not have."""
        studies = [record.study for record in searches]
        _refuse_unknown("study", self.studies, lambda name: name_of_study(name) in studies, studies)
        names = [_searcher_name(record.searcher) for record in searches]
        _refuse_unknown(
            "searcher", self.searchers, lambda name: any(_is_by(s, name) for s in searches), names
        )
        known = labels.known_tags()
        _refuse_unknown("tag", self.tags, lambda name: name in known, known)

    def takes_search(self, search: SearchRecord) -> bool:
        """Whether trials of this search may be shown."""
        of_study = not self.studies or search.study in map(name_of_study, self.studies)
        return of_study and (
            not self.searchers or any(_is_by(search, name) for name in self.searchers)
        )

    def takes_trial(self, trial: int, study: str, labels: Labels) -> bool:
        """Whether a trial of a search that may be shown has all of the tags."""
        return not self.tags or set(self.tags) <= set(labels.tags_of(trial, study))

    def __str__(self) -> str:
        parts = [f"study {name}" for name in self.studies]
        parts += [f"searcher {name}" for name in self.searchers]
        return ", ".join([*parts, *(f"tag {tag}" for tag in self.tags)])

    def __bool__(self) -> bool:
        return bool(self.studies or self.searchers or self.tags)


ALL_TRIALS = TrialFilter()


def _searcher_name(label: str) -> str:
    """The searcher's name, as the command line has it.

    >>> _searcher_name("Hyperband(max_epochs=27)")
    'hyperband'
    """
    return label.partition("(")[0].lower()


def _is_by(search: SearchRecord, name: str) -> bool:
    return name == search.searcher or name.lower() == _searcher_name(search.searcher)


def _refuse_unknown(
    what: str, wanted: Iterable[str], is_known: Callable[[str], bool], known: Iterable[str]
) -> None:
    for name in wanted:
        if not is_known(name):
            there = sorted(set(known))
            raise StoreError(
                f"the store has no {what} {brief(name)}{did_you_mean(name, there)}; "
                f"it has {', '.join(there) or 'none'}"
            )
