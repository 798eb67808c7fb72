"""`hpsearch.run`: several studies at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.core.errors import HpsearchError, StudyError
from hpsearch.core.one_run import only_run
from hpsearch.core.rules import brief
from hpsearch.python_api import calls, parsing
from hpsearch.python_api.shown_parts import ShownParts
from hpsearch.python_api.wording import errors_to_python
from hpsearch.results.baseline_gain import BaselineGain, read_gains_of_searches
from hpsearch.runs.arguments import make_run_options, refuse_without_effect
from hpsearch.runs.load import Overrides
from hpsearch.runs.sent_study import dump_study
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.study_text import read_source, refuse_edited
from hpsearch.runs.sweep import run_sweep
from hpsearch.runs.sweep_studies import SweepStudy, check_weights
from hpsearch.runs.sweep_summary import StudySummary, summarize_sweep

if TYPE_CHECKING:
    from hpsearch.runs.display import SweepDisplay
    from hpsearch.store import Url


def run(
    studies: Sequence[StudyDefinition | str | Path],
    *,
    weights: Sequence[float] | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    searcher: str | None = None,
    evaluator: str | None = None,
    until_luck: bool = False,
    hours: float | None = None,
    total_epochs: int | None = None,
    repeats: int = 0,
    finalists: int = 3,
    devices: str = "auto",
    per_device: int = 1,
    timeout: float | None = None,
    recycle: int = 200,
    ray: str | None = None,
    gpus_per_worker: float | None = None,
    checkpoints: str | Path | None = None,
    checkpoint_every: str | int = "5m",
    keep: int = 3,
    baselines: str | None = None,
    log: "str | Sequence[str]" = (),
    backend: str | None = None,
    engine: str = "auto",
    together: int | str = "auto",
    fresh: bool = False,
    store: "str | Path | Url | None" = None,
    display: "SweepDisplay | str | None" = "auto",
) -> "SweepReport":
    """Run several studies at once, or continue them; the same call goes on where this one stopped.

    It is the command `hpsearch run A.py B.py`, with its options, defaults and journals. The studies
    share the devices by weight: a device goes to the study that is furthest behind its share and
    can use it. A study that cannot run stops alone.

    Args:
        studies: studies, with a file or without, or paths of study files.
        weights: of the studies, one each; None: the same for all.
        display: "auto" (by where it runs), "notebook", "terminal", None, or a SweepDisplay.

    The other arguments are those of `Study.run`, and apply to each study. Raises HpsearchError where
    the studies cannot run together.
    """
    given = dict(locals())
    from hpsearch.python_api.displays import make_sweep_display
    from hpsearch.training import engines

    changed = parsing.list_given(run, given)
    del given["weights"], given["studies"]
    options = parsing.parse_call(run, given) | {"inline": False}
    with errors_to_python(), only_run("hpsearch.run"):
        refuse_without_effect(changed, ray, inline=False)
        chosen = calls.choose_backend(options["backend"], inline=False)
        engines.check_engine(options["engine"], chosen)
        place = calls.find_place(store)
        run_options = make_run_options(None, place, chosen, options)
        wanted = _make_studies(studies, weights, run_options.overrides)
        results = run_sweep(wanted, run_options, make_sweep_display(display))
    return SweepReport(place, summarize_sweep(place, results))


def _make_studies(
    studies: Sequence[StudyDefinition | str | Path],
    weights: Sequence[float] | None,
    overrides: Overrides,
) -> list[SweepStudy]:
    if isinstance(studies, StudyDefinition | str | Path) or not studies:
        raise StudyError(f"hpsearch.run needs a list of studies, got {brief(studies)}")
    shares = [1.0] * len(studies) if weights is None else [float(weight) for weight in weights]
    check_weights(shares, len(studies))
    return [
        _make_study(study, weight, overrides) for study, weight in zip(studies, shares, strict=True)
    ]


def _make_study(
    study: StudyDefinition | str | Path, weight: float, overrides: Overrides
) -> SweepStudy:
    if isinstance(study, str | Path):
        return SweepStudy(Path(study), Path(study).stem, weight)
    if not isinstance(study, StudyDefinition):
        raise StudyError(f"hpsearch.run needs studies or paths of their files, got {brief(study)}")
    named, file = calls.find_named(study)
    if file is not None:
        refuse_edited(study)
        return SweepStudy(file, named.name, weight)
    if named.after_trial is not None:
        raise StudyError(
            f"study {named.name} has after_trial and no file; save it as a file, whose functions "
            "its own process can load, or run it alone: study.run()"
        )
    sent = dump_study(overrides.apply(named))
    return SweepStudy(None, named.name, weight, sent, read_source(named, None))


class SweepReport(ShownParts, Sequence[StudySummary]):
    """What `hpsearch.run` returns: a summary of each study, by its place or its name."""

    def __init__(self, place: "Path | Url", studies: Sequence[StudySummary]) -> None:
        self._place, self._studies = place, list(studies)
        self._gains = read_gains_of_searches(place, [each.search for each in studies])

    def __len__(self) -> int:
        return len(self._studies)

    def __getitem__(self, which: Any) -> Any:
        """The study of this name, or at this place. Raises HpsearchError for an unknown name."""
        if not isinstance(which, str):
            return self._studies[which]
        for study in self._studies:
            if study.study == which:
                return study
        names = ", ".join(study.study for study in self._studies)
        raise HpsearchError(f"no study {which!r} ran; there are {names}")

    @property
    def failed(self) -> list[StudySummary]:
        """The studies that could not run, or whose trials all failed."""
        return [each for each in self._studies if each.error is not None or each.all_failed]

    @property
    def was_stopped(self) -> bool:
        """Whether Ctrl-C or the stop button ended it; the same call continues."""
        return any(study.ended == "stopped" for study in self._studies)

    @property
    def gains(self) -> dict[str, BaselineGain]:
        """By study, what its best trial brought over the best baseline, where it has one."""
        return {
            each.study: self._gains[each.search]
            for each in self._studies
            if each.search in self._gains
        }

    def _parts(self) -> Iterator[Any]:
        from hpsearch.console import findings, sweep_view

        searches = [each.search for each in self._studies]
        gravest = findings.describe_gravest(self._place, searches)
        yield from sweep_view.describe_sweep(self._studies, self._gains, gravest)
