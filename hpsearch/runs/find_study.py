"""What a name stands for in a store."""

from pathlib import Path

from hpsearch.core.errors import StudyError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import name_of_study
from hpsearch.store import Store, Url, find_present_name


def find_study_or_task(name: str, store_path: Path | Url) -> tuple[str | None, str | None]:
    """The study, or else the task, that has this name. A study is also known by its file.

    Returns (study, None) or (None, task). Raises StudyError where the store has neither.
    """
    with Store(store_path) as store:
        searches = store.searches()
        stem = name_of_study(name)
        former = find_present_name(store, stem, None)
    studies, tasks = {s.study for s in searches}, {s.task for s in searches}
    if stem in studies:
        return stem, None
    if name in tasks:
        return None, name
    if former in studies:
        return former, None
    known = sorted(studies | tasks)
    raise StudyError(
        f"{name!r} is neither a study nor a task in {store_path}{did_you_mean(name, known)}; the "
        f"store has {', '.join(known) or 'none'}"
    )
