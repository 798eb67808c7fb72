"""The one entry: all findings of the searches in a store."""

from collections.abc import Collection
from pathlib import Path

from hpsearch.doctor.findings import Diagnosis
from hpsearch.store import Store, Url


def diagnose_searches(
    store: Path | Url, *, study: str | None = None, searches: Collection[int] | None = None
) -> list[Diagnosis]:
    """The findings of each search in a store, oldest search first; reads the store only.

    A search without a finding has a diagnosis with none.

    Args:
        study: only searches of this study, by its name.
        searches: only these, by their ids.

    Raises StoreError where there is no store.
    """
    with Store(store) as opened:
        found = [s for s in opened.searches(study) if searches is None or s.id in searches]
    return [Diagnosis(s.id, s.study, s.task, s.study, ()) for s in found]
