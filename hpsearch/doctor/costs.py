"""Findings on time: most of it goes into compiling, or the device waits for small work."""

import math

import numpy as np

from hpsearch.core.parameters import Choice, Int
from hpsearch.doctor.evidence import FEWEST_TRIALS, SearchEvidence
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


def find_idle_device(evidence: SearchEvidence) -> list[Finding]:
    """Trials trained one at a time, and time hardly depends on their size or their minibatches.

    By a straight line through the logarithms of the seconds an epoch, of weights and of minibatch
    sizes: with work enough, twice the weights take twice the time.
    """
    from scipy.special import stdtrit

    weights = {row.trial: row.n_weights for row in evidence.ranking}
    trials = [
        t
        for t in evidence.roots
        if t.trial in evidence.costs
        and evidence.costs[t.trial].together == 1
        and not evidence.costs[t.trial].program
        and t.seconds
        and weights.get(t.trial, 0) > 0
    ]
    total = sum(t.seconds or 0.0 for t in trials)
    if len(trials) < FEWEST_TRIALS or len(trials) < len(evidence.roots) / 2:
        return []
    # By the median, because programs compile in the first trials.
    seconds = np.log([(t.seconds or 0.0) / max(1, t.epochs) for t in trials])
    sizes = np.log([float(weights[t.trial]) for t in trials])
    batches = np.log([_batch_size(t.params.get("batch_size")) for t in trials])
    if np.ptp(sizes) < math.log(4) or total < _LEAST_SECONDS:
        return []
    columns = [np.ones(len(trials)), sizes - sizes.mean()]
    if np.ptp(batches) > 0:
        columns.append(batches - batches.mean())
    design = np.column_stack(columns)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return []
    inverse = np.linalg.pinv(design)
    slopes = inverse @ seconds
    free = len(trials) - design.shape[1]
    errors = np.sqrt(np.diag(inverse @ inverse.T) * np.sum((seconds - design @ slopes) ** 2) / free)
    t = float(stdtrit(free, 0.95))
    if slopes[1] + t * errors[1] > _FLAT:
        return []
    figures = {"power_of_weights": float(slopes[1]), "trials": len(trials), "seconds": total}
    small = f"a network of {math.exp(np.ptp(sizes)):.0f} times the weights takes "
    small += f"{math.exp(slopes[1] * np.ptp(sizes)):.1f} times as long an epoch"
    if len(columns) == 3 and slopes[2] + t * errors[2] < -(1 - _FLAT):
        wider = widen("batch_size", evidence.space["batch_size"], "high")
        return [
            Finding(
                "idle device",
                "batch_size",
                0.25,
                f"the device waits for small minibatches: {small}, and minibatches twice as large "
                f"take {2 ** float(slopes[2]):.2f} times as long",
                figures | {"power_of_batch_size": float(slopes[2])},
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


def _batch_size(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 1.0
