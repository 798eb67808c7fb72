"""The finding that most trials fail alike: how, and in which part of the space."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.core.parameters import Choice, short_text, typed_key
from hpsearch.core.space import Space
from hpsearch.doctor.evidence import SearchEvidence, TrialFacts
from hpsearch.doctor.findings import Finding
from hpsearch.doctor.ranges import Side, cut, list_deciding, replace_options, study_line
from hpsearch.doctor.surface import Parameter, ordered_options, position
from hpsearch.store.command_text import command_text

_FEWEST = 3  # trials that fail alike
_LEVEL = 0.01  # of the tests for the part of the space, all together
_MOST_CUTS = 40  # of one range

_WAYS_OUT = {
    "exception": "read its traceback",
    "failed": "read why the study's code gave up",
    "killed": "see what was killed, and how much memory it had",
    "lost": "see how its worker ended",
    "memory": "make models or minibatches smaller",
    "nan": "lower the learning rates, or give the optimizer clipnorm=1.0",
    "timeout": "give trials more time by --timeout, or make them smaller",
}


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the space where trials fail.

    Args:
        text: as "units > 512".
        inside, failed: how many trials lie in it, and how many of these fail so.
        p: the probability of it by chance, over all cuts that were tried.
        line: the parameter's range without it; "" where nothing would be left.
    """

    text: str
    inside: int
    failed: int
    p: float
    line: str


def find_common_failure(evidence: SearchEvidence) -> list[Finding]:
    """More than half of the trials that began anew and ended failed, and failed alike."""
    # What goes on with a trial that had ended well has hardly a chance to fail.
    begun = [trial for trial in evidence.ended if trial.parent is None]
    failed = [trial for trial in begun if trial.state == "failed"]
    if len(failed) < _FEWEST:
        return []
    (cause, count), *_ = Counter(map(_cause, failed)).most_common()
    alike = [trial for trial in failed if _cause(trial) == cause]
    kind, first = cause[0] or "exception", _first_line(alike[0])
    if 2 * count <= len(begun) or count < _FEWEST:
        (kind, count), *_ = Counter(trial.failure or "exception" for trial in failed).most_common()
        alike = [trial for trial in failed if trial.failure == kind]
        first = f"such as: {_first_line(alike[0])}" if alike else ""
    if 2 * count <= len(begun) or count < _FEWEST:
        return []
    # Trials that failed otherwise tell neither where it is well nor where these fail.
    compared = [trial for trial in begun if trial.state != "failed" or trial in alike]
    region = _find_region(evidence.space, compared, alike)
    where = ""
    if region is not None:
        all_of = "all" if region.failed == region.inside else f"{region.failed} of"
        where = f"; {all_of} {region.inside} with {region.text} do"
    way_out = _WAYS_OUT.get(kind, "read why")
    line = command_text("show", str(alike[0].trial), evidence.place)
    if region is not None and region.line:
        way_out, line = f"leave {region.text} out of the space, or {way_out}", region.line
    return [
        Finding(
            "failures",
            kind,
            0.9 + 0.1 * count / len(begun),
            f"{count} of {len(begun)} trials fail alike, with {kind} ({first}){where}",
            {
                "failed": count,
                "ended": len(begun),
                "kind": kind,
                "where": region.text if region else None,
                "trials": [trial.trial for trial in alike[:20]],
            },
            way_out,
            line,
        )
    ]


def _cause(trial: TrialFacts) -> tuple[str | None, str]:
    """The kind and the first line, without what differs from trial to trial: its numbers."""
    return trial.failure, re.sub(r"\d+", "#", _first_line(trial))


def _first_line(trial: TrialFacts) -> str:
    line = (trial.message or "").strip().split("\n")[0]
    line = re.sub(r"^fold \d+: ", "", line)
    return line if len(line) <= 100 else f"{line[:97]}..."


def _find_region(
    space: Space, begun: Sequence[TrialFacts], alike: Sequence[TrialFacts]
) -> Region | None:
    """The part of the space, along one parameter, that sets these trials apart; None: none does."""
    failing = {trial.trial for trial in alike}
    found: list[Region] = []
    tests = 0
    for name, parameter in space.items():
        there = [trial for trial in begun if name in trial.params]
        parts = _list_parts(name, parameter, there)
        tests += len(parts)
        is_deciding = name in list_deciding(space)
        for text, inside, line in parts:
            hits = sum(trial.trial in failing for trial in inside)
            p = _chance(len(begun), len(failing), len(inside), hits)
            found.append(Region(text, len(inside), hits, p, "" if is_deciding else line))
    best = min(found, key=lambda region: (region.p, region.text), default=None)
    if best is None or best.p * tests > _LEVEL:
        return None
    # It must explain them: nearly all that fail lie in it, and nearly all in it fail.
    explains = best.failed >= 0.9 * len(failing) and best.failed >= 0.9 * best.inside
    return best if explains else None


def _list_parts(
    name: str, parameter: Parameter, there: Sequence[TrialFacts]
) -> list[tuple[str, list[TrialFacts], str]]:
    """Parts of a range: each option, or what lies beyond a value; as text, trials, and line."""
    if isinstance(parameter, Choice) and ordered_options(parameter) is None:
        parts: list[tuple[str, list[TrialFacts], str]] = []
        for option in parameter.options:
            same = [t for t in there if typed_key(t.params[name]) == typed_key(option)]
            others = [t for t in there if typed_key(t.params[name]) != typed_key(option)]
            rest = [o for o in parameter.options if typed_key(o) != typed_key(option)]
            if rest and same:
                line = study_line(name, replace_options(parameter, rest))
                parts.append((f"{name}={short_text(option)}", same, line))
            if len(rest) > 1 and others:
                line = study_line(name, replace_options(parameter, [option]))
                parts.append((f"{name} other than {short_text(option)}", others, line))
        return parts
    at = {t.trial: position(parameter, t.params[name]) for t in there}
    values: dict[float, Any] = {at[t.trial]: t.params[name] for t in there}
    places = sorted(place for place in values if math.isfinite(place))
    step = max(1, len(places) // _MOST_CUTS)
    found: list[tuple[str, list[TrialFacts], str]] = []
    sides: list[tuple[Side, str]] = [("high", ">"), ("low", "<")]
    for place in places[::step]:
        for side, sign in sides:
            inside = [t for t in there if (at[t.trial] > place if sign == ">" else at[t.trial] < place)]  # fmt: skip
            if inside:
                narrower = cut(parameter, side, values[place])
                line = study_line(name, narrower) if narrower else ""
                found.append((f"{name} {sign} {short_text(values[place])}", inside, line))
    return found


def _chance(trials: int, failing: int, inside: int, hits: int) -> float:
    """The probability of so many failures inside, were they anywhere (Fisher's exact test).

    >>> round(_chance(10, 5, 5, 5), 4)
    0.004
    """
    ways = sum(
        math.comb(failing, k) * math.comb(trials - failing, inside - k)
        for k in range(hits, min(failing, inside) + 1)
        if inside - k <= trials - failing
    )
    return ways / math.comb(trials, inside)
