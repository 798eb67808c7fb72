"""What the doctor found, as lines for a terminal."""

from collections.abc import Collection, Iterator
from pathlib import Path

from hpsearch.core.errors import first_line
from hpsearch.doctor.diagnose import diagnose_searches
from hpsearch.doctor.evidence import FEWEST_TRIALS
from hpsearch.doctor.findings import Diagnosis
from hpsearch.store import Url
from hpsearch.store.command_text import command_text


def describe_diagnosis(
    diagnosis: Diagnosis, *, show_all: bool = False, say_healthy: bool = True
) -> Iterator[str]:
    """What is wrong with a search, each with its way out; the gravest only, or all.

    Args:
        say_healthy: whether to say that nothing was found.
    """
    shown = diagnosis.findings if show_all else diagnosis.shown
    if not shown:
        if say_healthy:
            few = diagnosis.complete < FEWEST_TRIALS
            known = f"; most checks need {FEWEST_TRIALS}" if few else ""
            many = f"{diagnosis.complete} complete trial{'' if diagnosis.complete == 1 else 's'}"
            yield f"{diagnosis.name}: nothing found in {many}{known}"
        return
    count = len(diagnosis.findings)
    yield f"{diagnosis.name}: {count} finding{'s' if count > 1 else ''}"
    for number, finding in enumerate(shown, 1):
        yield f"{number}. {finding.text}"
        yield f"   -> {finding.way_out}{f': {finding.line}' if finding.line else ''}"
    if len(shown) < count:
        yield f"{count - len(shown)} more: {diagnosis.show_all}"


def describe_findings_of_run(place: Path | Url, search: int | None) -> Iterator[str]:
    """The gravest findings of the search that a run has gone on with; nothing where all is well.

    They fail no run: what goes wrong is said in a line.

    Args:
        search: its id; None: none was begun.
    """
    if search is None:
        return
    try:
        for diagnosis in diagnose_searches(place, searches=[search]):
            yield from describe_diagnosis(diagnosis, say_healthy=False)
    except Exception as error:
        more = command_text("doctor", None, place, debug=True)
        yield f"no findings: {first_line(error)}; {more} says more"


def describe_gravest(place: Path | Url, searches: Collection[int | None]) -> dict[int, str]:
    """The gravest finding of each search that has one, in a line, by the search's id.

    As `describe_findings_of_run`, it fails no run.
    """
    try:
        found = diagnose_searches(place, searches=[s for s in searches if s is not None])
    except Exception:  # `hpsearch doctor` says why
        return {}
    return {each.search: _in_a_line(each) for each in found if each.findings}


def _in_a_line(diagnosis: Diagnosis) -> str:
    gravest, count = diagnosis.findings[0], len(diagnosis.findings)
    line = f": {gravest.line}" if gravest.line else ""
    more = f" ({count - 1} more: {diagnosis.show_all})" if count > 1 else ""
    return f"{gravest.sentence} -> {gravest.way_out}{line}{more}"
