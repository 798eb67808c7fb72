"""Findings on the space: the best at an edge of a range, parameters without effect."""

import math
import statistics

import numpy as np

from hpsearch.core.parameters import Choice, Value, short_text
from hpsearch.core.space import Params
from hpsearch.doctor.evidence import FEWEST_TRIALS, SearchEvidence
from hpsearch.doctor.findings import Finding
from hpsearch.doctor.noise import trial_error
from hpsearch.doctor.ranges import Side, list_deciding, study_line, widen
from hpsearch.doctor.surface import (
    Array,
    Parameter,
    Surface,
    comparable_points,
    fit_surface,
    normal_scores,
    ordered_options,
    position,
)

_OUTER = 0.2  # of a range, at one end
_CHANCE = 0.05  # of the best at any end of any range, were they anywhere
_LEVEL = 0.01  # of the test of a slope, or of an effect
_LEAST_EFFECT = 0.05  # the probability from which on an effect is not seen
_DRAWS = 20  # of values that luck would have given as well


def find_best_at_edge(evidence: SearchEvidence) -> list[Finding]:
    """Ranges at whose end the best trials lie, and where values still improve."""
    points, _, scores = comparable_points(evidence)
    if len(points) < FEWEST_TRIALS:
        return []
    surface = fit_surface(evidence.space, points, scores)
    if not surface.is_known:
        return []
    ends: list[tuple[str, Side]] = [(n, side) for n in surface.names for side in ("low", "high")]
    found = []
    for name, side in ends:
        finding = _find_edge(evidence, surface, points, name, side, _CHANCE / len(ends))
        found += [finding] if finding else []
    return found


def _find_edge(
    evidence: SearchEvidence,
    surface: Surface,
    points: list[Params],
    name: str,
    side: Side,
    level: float,
) -> Finding | None:
    from scipy.special import bdtrc, stdtrit

    parameter = evidence.space[name]
    if isinstance(parameter, Choice) and ordered_options(parameter) is None:
        return None
    best = [row.params[name] for row in evidence.best if name in row.params]
    places = [_distance(position(parameter, value), side) for value in best]
    tried = [_distance(position(parameter, p[name]), side) for p in points if name in p]
    # The end of a range of few values is one of them.
    values = sorted({place for place in tried if math.isfinite(place)})
    width = _OUTER if len(values) > 1 / _OUTER else min([_OUTER, *values])
    outside = sum(place <= width for place in places)
    share = max(width, sum(place <= width for place in tried) / len(tried))
    # Are more of the best there than chance would put there, the very best among them?
    if not places or places[0] > width or share >= 1:
        return None
    chance = float(bdtrc(outside - 1, len(places), share)) if outside else 1.0
    if chance > level:
        return None
    # Do values still improve at the end, as the surface of all trials has it?
    at_best = np.array([
        np.nanmean([_centered(position(evidence.space[n], r.params.get(n))) for r in evidence.best]
                   + [0.0] * (sum(n in r.params for r in evidence.best) == 0))
        for n in surface.names
    ])  # fmt: skip
    end = 1.0 if side == "high" else -1.0
    t = end * surface.slope_at(name, end, at_best)
    if t < float(stdtrit(surface.columns.shape[0] - surface.columns.shape[1], 1 - _LEVEL)):
        return None
    wider = widen(name, parameter, side)
    if wider is None:
        return None
    is_deciding = name in list_deciding(evidence.space)
    middle = statistics.median(best) if not isinstance(parameter, Choice) else best[0]
    upper = "upper" if side == "high" else "lower"
    return Finding(
        "edge",
        name,
        0.7 + 0.1 * (1 - chance),
        f"the best lie at the {upper} end of {name}: {outside} of the best {len(places)} trials "
        f"(the middle one at {short_text(middle)}), and values still improve towards that end",
        {"best": len(places), "at_edge": outside, "chance": chance, "slope_t": t},
        "widen the range in the study, and the conditions of what depends on it"
        if is_deciding
        else "widen the range in the study",
        "" if is_deciding else study_line(name, wider),
    )


def _distance(place: float, side: Side) -> float:
    """How far from an end of its range a position is."""
    return 1 - place if side == "high" else place


def _centered(place: float) -> float:
    return 2 * place - 1


def find_idle_parameters(evidence: SearchEvidence) -> list[Finding]:
    """Parameters whose effect, if any, is smaller than the luck in a trial's value."""
    points, losses, scores = comparable_points(evidence, in_full=True)
    error = trial_error(evidence)
    if len(points) < FEWEST_TRIALS or error is None:
        return []
    surface = fit_surface(evidence.space, points, scores)
    if not surface.is_known:
        return []
    luck = _share_of_luck(losses, error)
    deciding = list_deciding(evidence.space)
    effects = {name: surface.effect(name) for name in surface.names}
    # Where nothing is seen to have an effect, that says nothing of one parameter.
    if not any(effect and effect.p < _LEVEL for effect in effects.values()):
        return []
    found = []
    for name, effect in effects.items():
        if name in deciding or effect is None or effect.p < _LEAST_EFFECT or effect.share > luck:
            continue
        fixed = next((r.params[name] for r in evidence.ranking if name in r.params), None)
        if fixed is None:
            continue
        when = evidence.space[name].when
        found.append(
            Finding(
                "no effect",
                name,
                0.3,
                f"parameter {name} shows no effect: it explains at most {effect.share:.1%} of the "
                f"differences between {len(points)} trials, and luck explains {luck:.1%}",
                {"most_share": effect.share, "luck_share": luck, "p": effect.p},
                "keep it at one value, so that fewer trials find as much",
                study_line(name, Choice(_round(evidence.space[name], fixed), when=when)),
            )
        )
    return found


def _round(parameter: Parameter, value: Value) -> Value:
    """A number to two digits where the range has that one too."""
    short = float(f"{value:.2g}") if isinstance(value, float) else value
    return short if parameter.contains(short) else value


def _share_of_luck(losses: Array, error: float) -> float:
    """The share of the scores' variance that would change, were each trial trained again."""
    draws = np.random.default_rng(0)
    before = normal_scores(losses)
    if not np.any(before):
        return 0.0
    alike = [
        float(np.corrcoef(before, normal_scores(losses + draws.normal(scale=error, size=len(losses))))[0, 1])
        for _ in range(_DRAWS)
    ]  # fmt: skip
    return 1.0 - statistics.fmean(alike) ** 2
