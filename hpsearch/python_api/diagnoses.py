"""What the doctor finds, as a list that shows itself in notebooks."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hpsearch.doctor.diagnose import diagnose_searches
from hpsearch.doctor.findings import Diagnosis
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.store import Store, Url


class Diagnoses(Sequence[Diagnosis]):
    """The diagnoses of searches, oldest first.

    `found[0].findings` has the findings of a search, gravest first; each has a `sentence`, the
    `figures` on which that rests, and a `way_out` with its `line`.

    Args:
        each: the diagnoses.
    """

    def __init__(self, each: Sequence[Diagnosis]) -> None:
        self._each = list(each)

    def __getitem__(self, place: Any) -> Any:
        return self._each[place]

    def __len__(self) -> int:
        return len(self._each)

    def _lines(self) -> Iterator[str]:
        from hpsearch.console import findings

        if not self._each:
            yield "no search yet"
        for diagnosis in self._each:
            yield from findings.describe_diagnosis(diagnosis)

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return "".join(f"<div>{escape(line)}</div>" for line in self._lines())


def diagnose(place: Path | Url, name: str | None = None) -> Diagnoses:
    """The diagnoses of a study's searches, of a task's, or of all in a store.

    Args:
        name: of a study or its file, or of a task.

    Raises HpsearchError where the store has nothing of this name.
    """
    if name is None:
        return Diagnoses(diagnose_searches(place))
    study, task = find_study_or_task(name, place)
    with Store(place) as store:
        chosen = [each.id for each in store.searches(study) if task in (None, each.task)]
    return Diagnoses(diagnose_searches(place, searches=chosen))
