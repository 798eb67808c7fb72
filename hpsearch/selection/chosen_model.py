"""Choose a model among a study's searches, before it is trained on all rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from hpsearch import searchers
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, StudyError
from hpsearch.core.option_text import did_you_mean, option_classes, option_text, parse_options
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.core.trial import Facts
from hpsearch.runs.baseline_study import choose_study_baselines, make_companion
from hpsearch.runs.identity import make_search_record, refuse_changes
from hpsearch.runs.study import StudyDefinition
from hpsearch.selection import predictions
from hpsearch.selection.card_facts import describe_model
from hpsearch.selection.choice import ModelChoice, ModelMember, choose_members
from hpsearch.selection.predictions import EnsembleWeights, ValidationPrediction
from hpsearch.selection.streamed_rows import number_held_out, read_held_out
from hpsearch.store import SearchRecord, Store, rank_records


@dataclass(frozen=True, slots=True, eq=False)
class ChosenModel:
    """A model that is to be trained on all rows.

    Args:
        study: whose function trains it: that of the search, or the one whose trials are baselines.
        choice: how it is trained.
        task: of the study, with the kind that its data makes it.
        data: the task's.
        held_out: the rows that predictions are scored on: the data, or what streams give.
        test: the fingerprint of the test, which it is to be opened by; None: it stays sealed.
        record: the study as it is now.
        searches: those that it was chosen among.
        members: its points.
        weights: of each member in predictions.
        validated: what the members predict for validation rows.
        description: what the card says of it, and it is identified by.
    """

    study: StudyDefinition
    choice: ModelChoice
    task: Task
    data: Data
    held_out: Data
    test: str | None
    record: SearchRecord
    searches: Sequence[SearchRecord]
    members: Sequence[ModelMember]
    weights: EnsembleWeights
    validated: Sequence[ValidationPrediction]
    description: dict[str, Any]


def choose_model(
    study: StudyDefinition,
    file: Path | None,
    store: Store,
    choice: ModelChoice,
    *,
    pooled: bool,
    engine: str,
    backend: str,
) -> ChosenModel:
    """Choose the members and their weights.

    Args:
        study: with the name that it has in the store.
        pooled: as `refit` has it.
        backend: the running one.

    Raises HpsearchError where there is nothing to choose from, or the test cannot be opened.
    """
    how: dict[str, Any] = {"engine": engine, "backend": backend}
    data = study.task.load()
    record, searches = _comparable_searches(
        study, file, store, data, backend, pooled, baselines=choice.baseline is not None
    )
    if choice.baseline is not None:
        study, choice = _choose_baseline(study, data, store, searches, choice)
    task = study.task.with_kind_of(data.y)
    held_out = read_held_out(data, test=not choice.sealed)
    test = None if choice.sealed else predictions.check_test(task, held_out)
    splits = study.evaluator.splits(task, data, seed=derive_seed(study.seed, "splits"))
    rows = round(fmean(len(split.train) for split in splits))
    members = [
        replace(member, most_epochs=_find_most_epochs(study, member.searcher))
        for member in choose_members(store, searches, choice, task.objective, rows)
    ]
    splits = number_held_out(data, held_out, splits)
    validated = predictions.predict_validation_rows(
        study, data, held_out.rows, splits, members, **how
    )
    weights: EnsembleWeights = {0: Fraction(1)}
    if choice.ensemble:
        weights = predictions.choose_ensemble(task, held_out, validated)
    return ChosenModel(
        study=study,
        choice=choice,
        task=task,
        data=data,
        held_out=held_out,
        test=test,
        record=record,
        searches=searches,
        members=members,
        weights=weights,
        validated=validated,
        description=describe_model(task, members, weights, data, choice, backend, record.source),
    )


def _find_most_epochs(study: StudyDefinition, label: str) -> int:
    """The most epochs of a trial of a search by this searcher.

    Those of the study where nobody can tell, as for a searcher of the user's own.
    """
    known = option_classes(searchers)
    text = option_text(label, known, not_in_labels=("trials", "iterations"))
    if label == study.searcher.label or text is None:
        return study.most_epochs
    try:
        return replace(study, searcher=parse_options(text, "searcher", known)).most_epochs
    except HpsearchError:
        return study.most_epochs


def _choose_baseline(
    study: StudyDefinition,
    data: Data,
    store: Store,
    searches: Sequence[SearchRecord],
    choice: ModelChoice,
) -> tuple[StudyDefinition, ModelChoice]:
    """The study whose trials are the baselines of a study, and the choice with the one's name.

    Raises HpsearchError where it keeps no model, or the study has it no more.
    """
    name = choice.baseline
    if not name:
        ranking = rank_records(store, searches)
        if not ranking:
            raise HpsearchError(f"no baseline of study {study.name} is complete yet; run it first")
        name = str(ranking[0].baseline)
    known = choose_study_baselines(study, data)
    if name not in known.baselines:
        raise HpsearchError(
            f"study {study.name} has no baseline {name!r}{did_you_mean(name, known.baselines)}; it "
            f"has {', '.join(known.baselines) or 'none'}"
        )
    baseline = known.baselines[name]
    if baseline.make is None:
        raise HpsearchError(
            f"the baseline {name!r} learns nothing, so that there is no model to keep; name another"
        )
    # Another seed makes the same model, unless it draws.
    seeds = choice.seeds if baseline.draws else 1
    return make_companion(study, known), replace(choice, baseline=name, seeds=seeds)


def _comparable_searches(
    study: StudyDefinition,
    file: Path | None,
    store: Store,
    data: Data,
    backend: str,
    pooled: bool,
    *,
    baselines: bool,
) -> tuple[SearchRecord, list[SearchRecord]]:
    """The study as it is now, and its searches whose trials compare.

    Args:
        pooled: whether to take the searches of all searchers, or only of the study's.
        baselines: take the searches of its baselines instead.

    Raises StudyError where the study has changed since its searches, or has no such search.
    """
    record = make_search_record(study, file, Facts(data.fingerprint, "", backend, {}))
    of_study = [each for each in store.searches(study.name) if not each.has_baselines]
    refuse_changes(record, of_study)
    same = [s for s in of_study if (s.evaluator, s.seed) == (record.evaluator, record.seed)]
    if baselines:
        comparisons = {search.comparison for search in same}
        plain = [
            each
            for each in store.searches(study.name)
            if each.has_baselines and each.seed == record.seed and each.comparison in comparisons
        ]
        if not plain:
            raise HpsearchError(
                f"the store has no baselines of study {study.name}; run it with --baselines quick"
            )
        return record, plain
    if not same:
        known = ", ".join(sorted({f"{s.evaluator} with seed {s.seed}" for s in of_study}))
        raise HpsearchError(
            f"study {study.name} has no search by {record.evaluator} with seed {record.seed}; "
            + (f"it has {known}: name it by --evaluator and --seed" if known else "run it first")
        )
    if pooled:
        return record, same
    if named := [s for s in same if s.searcher == record.searcher]:
        return record, named
    known = ", ".join(sorted({s.searcher for s in same}))
    raise StudyError(
        f"study {study.name} has no search by {record.searcher}; it has {known}: name one as it "
        "was run, or leave --searcher and --epochs out, to choose among all"
    )
