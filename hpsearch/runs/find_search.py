"""Which search of the store a run goes on with: one that is there, or a new one."""

from collections.abc import Callable
from contextlib import suppress

from hpsearch.core.errors import NoStoreError, OldStoreError, StudyError
from hpsearch.core.trial import Facts
from hpsearch.runs.identity import (
    find_changes,
    make_search_record,
    refuse_changes,
    rename_as_in_store,
)
from hpsearch.runs.options import RunOptions
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import Journal, SearchRecord, Store


def match_with_store(study: StudyDefinition, options: RunOptions) -> StudyDefinition:
    """The study by the name that it has in the store, if that knows it.

    For before Keras and the data are loaded. Raises StudyError where the study has changed since
    its search began, as far as that can be known by then, unless the search is to start over.
    """
    with suppress(NoStoreError, OldStoreError), Store(options.store) as store:
        study = rename_as_in_store(study, options.file, store)
        if not options.fresh:
            # Without the text, which may change.
            facts = Facts("", "", options.backend, {})
            record = make_search_record(study, options.file, facts, source="")
            refuse_changes(record, store.searches(study.name))
    return study


def find_or_begin_search(
    store: Store,
    study: StudyDefinition,
    record: SearchRecord,
    options: RunOptions,
    show_line: Callable[[str], None],
) -> Journal:
    """The journal of the search that `record` describes.

    Args:
        study: as `match_with_store` named it; locked by now, so that nobody can rename it.

    Raises StudyError where the study was renamed or has changed since, unless the search is fresh.
    """
    _refuse_renamed(store, study, options)
    metrics = study.task.recorded[1:]  # beside the task's own; earlier trials may have others
    earlier = store.searches(record.study)
    same = [search for search in earlier if search.key == record.key]
    if options.fresh:  # it replaces earlier ones of this study
        # Baselines are trained again, too: they may be of other data, or of other preprocessing.
        replaced = [s for s in earlier if s in same or s.has_baselines or find_changes(record, s)]
        return store.begin_search(record, instead_of=replaced, metrics=metrics)
    refuse_changes(record, earlier)
    if not same:
        return store.begin_search(record, metrics=metrics)
    if same[-1].source != record.source:
        show_line(
            f"{record.file or f'study {record.study}'} was edited since this search began: its earlier trials were trained by "
            "the older text; --fresh starts over"
        )
    return store.journal(same[-1].id, metrics)


def _refuse_renamed(store: Store, study: StudyDefinition, options: RunOptions) -> None:
    """Raise StudyError where the store has another name for a study by now.

    Else a second search would begin under the former name.
    """
    name = rename_as_in_store(study, options.file, store).name
    if name != study.name:
        raise StudyError(
            f"study {study.name} was renamed to {name} just now; the same command goes on with it"
        )
