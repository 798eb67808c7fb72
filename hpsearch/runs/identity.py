"""Whether a study is still the same as when its search in the store began."""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hpsearch.core import task_kinds
from hpsearch.core.errors import SpaceError, StudyError
from hpsearch.core.fingerprint import describe_change
from hpsearch.core.option_text import names_address, settings_text
from hpsearch.core.rules import brief, why_no_number
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Facts
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.study_text import read_source
from hpsearch.store import SearchRecord, Store, find_present_name

_DEFAULT_POINT = "default_point"
_EPOCH_SECONDS = "epoch_seconds"


def make_search_record(
    study: StudyDefinition,
    file: Path | None,
    facts: Facts,
    source: str | None = None,
    *,
    is_kept: bool = True,
) -> SearchRecord:
    """What the store keeps of a search of this study.

    Args:
        file: the study's; None: it has none.
        source: the study's text; None: it is read.
        is_kept: whether others may go on with the search.

    Raises StudyError for settings by which nobody would know it again.
    """
    task, describe = study.task, partial(_describe, is_kept=is_kept)
    training = {
        "loss": describe("loss", task.loss),
        "outputs": task.outputs,
        "preprocess": describe("preprocess", task.preprocess),
        "patience": study.patience,
    }
    # Left out where they are not given, so that searches of earlier versions go on.
    if task.class_weight is not None:
        given = task.class_weight
        training["class_weight"] = given if isinstance(given, str) else str(dict(given))
    if task.preprocess_y is not None:
        training["preprocess_y"] = describe("preprocess_y", task.preprocess_y)
    if task.objective.function is not None:
        training["metric"] = describe("metric", task.objective.function)
    # Left out where earlier versions took the task for the same kind, so that their searches go on.
    if kind := task_kinds.kind_to_store(task.loss, task.kind):
        training["kind"] = kind
    # Not a setting that must stay: a search goes on from the points with which it began.
    if (point := study.default_point) is not None:
        training[_DEFAULT_POINT] = dict(point)
    # Nor is this: another machine may take longer.
    if facts.epoch_seconds:
        training[_EPOCH_SECONDS] = facts.epoch_seconds
    return SearchRecord(
        study=study.name,
        searcher=study.searcher.label,
        evaluator=study.evaluator.label,
        seed=study.seed,
        backend=facts.backend,
        task=task.name,
        measure=task.measure,
        direction=task.objective.direction,
        data=facts.data,
        space=json.dumps(study.space.to_json()),
        training=json.dumps(training),
        file="" if file is None else str(file.resolve()),
        source=read_source(study, file) if source is None else source,
        versions=json.dumps(facts.versions),
    )


def _describe(option: str, value: Any, *, is_kept: bool) -> str:
    """An option of the task as text.

    Raises StudyError where it is kept, and another process would write another text: a run that
    continues would take the study for a changed one.
    """
    text = settings_text(value)
    if is_kept and names_address(text):
        raise StudyError(
            f"{option}= has settings that cannot be compared with a store's, {brief(text)}: give "
            "random_state= a whole number, and classes of your own get_params, as scikit-learn's "
            "BaseEstimator has it"
        )
    return text


def rename_as_in_store(study: StudyDefinition, file: Path | None, store: Store) -> StudyDefinition:
    """The study by the name that `hpsearch rename` gave it in the store, if it did."""
    place = None if file is None else str(file.resolve())
    name = find_present_name(store, study.name, place)
    return study if name == study.name else replace(study, name=name)


def find_first_points(study: StudyDefinition, begun: SearchRecord) -> list[Params]:
    """The points that a search in the store tries before any other.

    Its record says whether it began with a default point, and with which: earlier versions tried
    none, and a builder may have another one by now. Raises StudyError for a damaged record.
    """
    if study.start is not None:
        return list(study.start)
    point = json.loads(begun.training).get(_DEFAULT_POINT)
    if point is None:
        return []
    try:
        study.space.check(point)
    except SpaceError as error:
        raise StudyError(
            f"the store's default point of study {begun.study} is damaged ({error}); start over "
            "with --fresh"
        ) from error
    return [point]


def find_epoch_seconds(begun: SearchRecord) -> float:
    """What an epoch of a trial was expected to take when a search began; 0 where nobody could tell.

    Raises StudyError for a damaged record.
    """
    seconds = json.loads(begun.training).get(_EPOCH_SECONDS, 0.0)
    if why := why_no_number(seconds):
        raise StudyError(
            f"the store's {_EPOCH_SECONDS} of study {begun.study} is damaged ({why}); start over "
            "with --fresh"
        )
    return float(seconds)


def find_changes(now: SearchRecord, before: SearchRecord) -> list[str]:
    """What changed in a study since its search began, a line each. Empty: the search can go on."""
    lines = Space.from_json(json.loads(now.space)).changes_since(
        Space.from_json(json.loads(before.space))
    )
    if not lines and now.space != before.space:
        lines = ["the order of the space's parameters changed"]
    training_now, training_before = json.loads(now.training), json.loads(before.training)
    pairs = {"task": (before.task, now.task), "metric": (before.measure, now.measure)}
    pairs["direction"] = (before.direction, now.direction)
    for each in (training_now, training_before):
        each.pop(_DEFAULT_POINT, None)
        each.pop(_EPOCH_SECONDS, None)
    names = [*training_now, *(name for name in training_before if name not in training_now)]
    pairs |= {name: (training_before.get(name), training_now.get(name)) for name in names}
    lines += [f"{name} was {old}, now {new}" for name, (old, new) in pairs.items() if old != new]
    if now.data and now.data != before.data:
        lines.append(describe_change(before.data, now.data))
    return lines


def refuse_changes(now: SearchRecord, earlier: Iterable[SearchRecord]) -> None:
    """Raise StudyError, which says what changed, where the study is not the same as before.

    Baselines, whose search has a space of its own, are no earlier searches of a study.
    """
    for before in earlier:
        if before.has_baselines:
            continue
        if before.file not in ("", now.file) and Path(before.file).exists():
            rename = f"rename {now.file}" if now.file else "give this one another name="
            raise StudyError(
                f"the store has a study {now.study} of {before.file}; {rename}, or name "
                "another store by --store"
            )
        if found := find_changes(now, before):
            raise StudyError(
                f"study {now.study} changed since its search began: {'; '.join(found)}; undo the "
                "change, or start over with --fresh (earlier trials stay in the store)"
            )
