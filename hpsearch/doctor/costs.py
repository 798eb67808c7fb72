"""Findings on time: most of it goes into compiling, or the device waits for small work."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.core.parameters import Choice, Int
from hpsearch.doctor.evidence import FEWEST_TRIALS, SearchEvidence, TrialFacts
from hpsearch.doctor.findings import Finding
from hpsearch.doctor.ranges import study_line, widen
from hpsearch.results.formatting import format_duration

_LEAST_SECONDS = 60.0  # of waiting that are worth a change
_FLAT = 0.25  # the power of a model's size by which time grows, where the device waits


def find_compiling(evidence: SearchEvidence) -> list[Finding]:
    """More than half of the training time was spent on compiling programs."""
    trials = [t for t in evidence.ended if t.trial in evidence.costs and t.seconds]
    if len(trials) < FEWEST_TRIALS:
        return []
    costs = [evidence.costs[trial.trial] for trial in trials]
    compiling = sum(cost.compile_seconds for cost in costs)
    whole = sum(trial.seconds or 0.0 for trial in trials)
    if compiling < _LEAST_SECONDS or 2 * compiling <= whole:
        return []
    programs = len({cost.program for cost in costs if cost.program})
    way_out, line = _fewer_programs(evidence)
    return [
        Finding(
            "compiling",
            "",
            0.45,
            f"compiling took {format_duration(compiling)} of {format_duration(whole)} of training "
            f"({compiling / whole:.0%}): {programs} programs for {len(trials)} trials",
            {"compile_seconds": compiling, "seconds": whole, "programs": programs},
            way_out,
            line,
        )
    ]


def _fewer_programs(evidence: SearchEvidence) -> tuple[str, str]:
    """A range of whole numbers, each a shape of its own, as a few options."""
    for name, parameter in evidence.space.items():
        if isinstance(parameter, Int) and parameter.high - parameter.low >= 16:
            low, high = max(1, parameter.low), parameter.high
            if parameter.log:
                options = [round(low * (high / low) ** (i / 3)) for i in range(4)]
            else:
                options = [round(low + (high - low) * i / 3) for i in range(4)]
            few = Choice(*dict.fromkeys(options), when=parameter.when)
            return "give shapes a few options, so that trials share programs", study_line(name, few)
    return "train longer, so that a program is used more", ""


@dataclass(frozen=True, slots=True)
class _SecondsByWork:
    """How the seconds an epoch depend on the work, as powers of it; 0: not at all.

    Args:
        growth: of the weights, from the smallest network to the largest: its logarithm.
        power_of_weights, power_of_batch: None where all minibatches are of one size.
        most_of_weights, most_of_batch: what these powers are at most (one-sided, 95 %).
    """

    growth: float
    power_of_weights: float
    most_of_weights: float
    power_of_batch: float | None = None
    most_of_batch: float = 0.0


def find_idle_device(evidence: SearchEvidence) -> list[Finding]:
    """Trials trained one at a time, and time hardly depends on their size or their minibatches.

    With work enough, twice the weights take twice the time.
    """
    trials = _trained_alone(evidence)
    total = sum(t.seconds or 0.0 for t in trials)
    if len(trials) < max(FEWEST_TRIALS, len(evidence.roots) / 2) or total < _LEAST_SECONDS:
        return []
    found = _fit_seconds(trials, {row.trial: row.n_weights for row in evidence.ranking})
    if found is None or found.most_of_weights > _FLAT:
        return []
    figures = {"power_of_weights": found.power_of_weights, "trials": len(trials), "seconds": total}
    small = f"a network of {math.exp(found.growth):.0f} times the weights takes "
    small += f"{math.exp(found.power_of_weights * found.growth):.1f} times as long an epoch"
    if found.power_of_batch is not None and found.most_of_batch < -(1 - _FLAT):
        wider = widen("batch_size", evidence.space["batch_size"], "high")
        return [
            Finding(
                "idle device",
                "batch_size",
                0.25,
                f"the device waits for small minibatches: {small}, and minibatches twice as large "
                f"take {2**found.power_of_batch:.2f} times as long",
                figures | {"power_of_batch_size": found.power_of_batch},
                "try larger minibatches",
                study_line("batch_size", wider) if wider else "",
            )
        ]
    return [
        Finding(
            "idle device",
            "",
            0.25,
            f"the device waits: {len(trials)} trials were trained one at a time, and {small}",
            figures,
            "train side by side (this says what stands in the way), or several workers a device",
            evidence.command("run", engine="gang")
            if evidence.record.backend == "jax"
            else evidence.command("run", per_device="auto"),
        )
    ]


def _trained_alone(evidence: SearchEvidence) -> list[TrialFacts]:
    """The timed trials that were trained one at a time, whose size is known."""
    weights = {row.trial: row.n_weights for row in evidence.ranking}
    return [
        t
        for t in evidence.roots
        if t.trial in evidence.costs
        and evidence.costs[t.trial].together == 1
        and not evidence.costs[t.trial].program
        and t.seconds
        and weights.get(t.trial, 0) > 0
    ]


def _fit_seconds(trials: Sequence[TrialFacts], weights: Mapping[int, int]) -> _SecondsByWork | None:
    """A straight line through the logarithms of seconds an epoch, of weights and of minibatch sizes.

    None where sizes are too much alike, or grow with the minibatches alone.
    """
    from scipy.special import stdtrit

    seconds = np.log([(t.seconds or 0.0) / max(1, t.epochs) for t in trials])
    sizes = np.log([float(weights[t.trial]) for t in trials])
    batches = np.log([_batch_size(t.params.get("batch_size")) for t in trials])
    if np.ptp(sizes) < math.log(4):
        return None
    columns = [np.ones(len(trials)), sizes - sizes.mean()]
    if np.ptp(batches) > 0:
        columns.append(batches - batches.mean())
    design = np.column_stack(columns)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    inverse = np.linalg.pinv(design)
    slopes = inverse @ seconds
    free = len(trials) - design.shape[1]
    errors = np.sqrt(np.diag(inverse @ inverse.T) * np.sum((seconds - design @ slopes) ** 2) / free)
    most = slopes + float(stdtrit(free, 0.95)) * errors
    powers = [float(each) for pair in zip(slopes[1:], most[1:], strict=True) for each in pair]
    return _SecondsByWork(float(np.ptp(sizes)), *powers)


def _batch_size(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 1.0
