"""What searches are called."""

from collections.abc import Sequence

from hpsearch.store import SearchRecord


def name_searches(searches: Sequence[SearchRecord]) -> dict[int, str]:
    """Names of searches by id: the study, and what differs between searches of one study."""
    names = {}
    for search in searches:
        if search.has_baselines:
            names[search.id] = f"{search.study}, baselines"
            continue
        own = [
            _options(other)
            for other in searches
            if other.study == search.study and not other.has_baselines
        ]
        differing = [
            text for at, text in enumerate(_options(search)) if len({each[at] for each in own}) > 1
        ]
        names[search.id] = ", ".join([search.study, *differing])
    return names


def _options(search: SearchRecord) -> tuple[str, ...]:
    return search.searcher, f"seed {search.seed}", search.backend
