"""What the methods of a study do: gather, and call the session that the commands call."""

import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.core.errors import HpsearchError, NoStoreError, OldStoreError, StudyError
from hpsearch.core.one_run import only_run
from hpsearch.core.plan import Budget
from hpsearch.python_api.diagnoses import Diagnoses, diagnose
from hpsearch.python_api.plan_report import PlanReport
from hpsearch.python_api.ranking import Ranking, read_ranking
from hpsearch.python_api.refitted import Refitted, refit_study
from hpsearch.python_api.run_report import RunReport
from hpsearch.python_api.wording import errors_to_python
from hpsearch.runs.arguments import (
    make_filter,
    make_overrides,
    make_run_options,
    refuse_without_effect,
)
from hpsearch.runs.identity import rename_as_in_store
from hpsearch.runs.plan_study import plan_study
from hpsearch.runs.signals import StoppedAtOnce
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.study_text import find_file, refuse_edited
from hpsearch.store import RankedTrial, Store, Url, default_place, parse_place

if TYPE_CHECKING:
    from hpsearch.plots.results import Results
    from hpsearch.runs.session import RunResult

Options = Mapping[str, Any]
"""Values by the names of the command line's options, checked and converted."""


@errors_to_python()
def run(
    study: StudyDefinition, options: Options, given: Collection[str], store: Any, display: Any
) -> RunReport:
    """Run a study. given: the names of the options that differ from their defaults."""
    from hpsearch.python_api.displays import make_display
    from hpsearch.runs.session import run_study
    from hpsearch.training import engines

    with only_run():
        refuse_without_effect(given, options["ray"], inline=options["inline"])
        backend = choose_backend(options["backend"], inline=options["inline"])
        engines.check_engine(options["engine"], backend)
        named, file = find_named(study)
        refuse_edited(study)
        place = find_place(store)
        run_options = make_run_options(file, place, backend, options)
        wanted = run_options.overrides.apply(named)
        shown = make_display(display)
        try:
            ended = run_study(wanted, run_options, shown)
        except StoppedAtOnce:
            raise
        except KeyboardInterrupt:  # before the search went on, or after it: nothing is lost
            ended = _stopped_before(wanted.name, place)
    return RunReport(find_stored(wanted, place), place, ended)


def _stopped_before(study: str, place: Path | Url) -> "RunResult":
    """How a run ended that was stopped while workers loaded the study."""
    from hpsearch.runs.session import RunResult

    ranking: list[RankedTrial] = []
    with suppress(HpsearchError):
        ranking = list(read_ranking(place, study=study))
    return RunResult(ranking, [], False, "stopped", None, study)


@errors_to_python()
def plan(study: StudyDefinition, options: Options, store: Any) -> PlanReport:
    """Count what a run of a study will cost."""
    wanted = make_overrides(options).apply(find_named(study)[0])
    budget = Budget(options["hours"], options["total_epochs"])
    found = plan_study(wanted, find_place(store), budget)
    return PlanReport(found.study, found.cost, found.budget, found.pace)


@errors_to_python()
def rank(study: StudyDefinition, options: Options, store: Any) -> Ranking:
    """Rank the trials that compare with a study's."""
    place = find_place(store)
    named = find_stored(study, place)
    only = make_filter(options)
    return read_ranking(
        place, study=named.name, metric=options["metric"], top=options["top"], only=only
    )


@errors_to_python()
def refit(study: StudyDefinition, options: Options, store: Any) -> Refitted:
    """Refit a study's best point."""
    named, file = find_named(study)
    wanted = make_overrides(options).apply(named)
    pooled = options["searcher"] is None and options["epochs"] is None
    return refit_study(wanted, file, find_place(store), dict(options), pooled=pooled)


def results(study: StudyDefinition) -> "Results":
    """A study's trials as frames, from the default store."""
    from hpsearch.plots.results import Results

    place = default_place()
    return Results(place, study=find_stored(study, place).name)


def diagnose_study(study: StudyDefinition, store: Any) -> Diagnoses:
    """The doctor's findings on the searches of a study."""
    place = find_place(store)
    return diagnose(place, find_stored(study, place).name)


def find_named(study: StudyDefinition) -> tuple[StudyDefinition, Path | None]:
    """The study with its name, and its file, if it has one.

    Raises StudyError where it has neither a file nor a name.
    """
    file = find_file(study)
    if study.name:
        return study, file
    if file is None:
        raise StudyError(
            "a study that no file binds to `study` needs a name, by which its search goes on: "
            'Study(name="digits", ...)'
        )
    return replace(study, name=file.stem), file


def find_stored(study: StudyDefinition, place: Path | Url) -> StudyDefinition:
    """The study by its name in a store, where `hpsearch rename` gave it another one."""
    named, file = find_named(study)
    with suppress(NoStoreError, OldStoreError), Store(place) as store:
        return rename_as_in_store(named, file, store)
    return named


def find_place(store: str | Path | Url | None) -> Path | Url:
    """The store's place; None: that of the commands."""
    return default_place() if store is None else parse_place(store)


def choose_backend(backend: str | None, *, inline: bool) -> str:
    """The backend of a run. Workers choose it for themselves, so that this process is left alone."""
    from hpsearch.training import backend as backends

    if inline or (backend is None and "keras" in sys.modules):
        return backends.choose(backend)
    return backends.name(backend)
