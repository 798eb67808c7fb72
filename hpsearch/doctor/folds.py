"""The finding that folds disagree about which trials are better."""

import math
from dataclasses import replace

from hpsearch.doctor.evidence import SearchEvidence
from hpsearch.doctor.findings import Finding
from hpsearch.doctor.noise import analyse_folds
from hpsearch.evaluators import KFold
from hpsearch.results.formatting import shorten_label
from hpsearch.results.metric_values import make_evaluator

_FEWEST = 10  # trials
_HALF = 0.5  # of the variance of trials' values: below, more of it is luck than difference
_CLEAR = 4.0  # the variance of differences over that of luck, where the best would be clear
_MOST_REPEATS = 10


def find_disagreeing_folds(evidence: SearchEvidence) -> list[Finding]:
    """More of the differences between trials is luck of the folds than is not.

    By the F test of trials in the two-way analysis of variance: the upper limit of the reliability
    of the trials' means (Shrout and Fleiss, Psychological Bulletin 86, 1979: 1 - 1/F) at 95 %.
    """
    from scipy.special import fdtri

    table = analyse_folds(evidence, [trial.trial for trial in evidence.full])
    if table is None or table.trials < _FEWEST or table.within <= 0:
        return []
    f = table.between / table.within
    free = table.trials - 1
    highest = f / float(fdtri(free, free * (table.folds - 1), 0.05))
    reliability = max(0.0, 1 - 1 / highest) if highest > 0 else 0.0
    if reliability >= _HALF:
        return []
    apart = math.sqrt(max(0.0, table.between - table.within) / table.folds)
    # How much smaller must the luck be, for the differences to be twice as large as it?
    times = math.ceil(_CLEAR / (f - 1)) if f > 1 else None
    # Without a standard error none is the simplest within it.
    has_errors = any(row.one_se for row in evidence.ranking)
    line = evidence.command("refit", one_se=True) if has_errors else ""
    differ = f"the trials differ by {apart:.2g}" if apart else "the trials differ by no more"
    if times is None:
        wanted = "no number of rows is known to tell them apart"
        way_out = "take the simplest of them, or widen the space so that trials differ"
    else:
        wanted = f"about {times} times as many rows would tell them apart"
        way_out = "get more rows, or take the simplest of them"
        if repeated := _repeat_folds(evidence.record.evaluator, times):
            way_out = (
                "repeat the folds, which takes away the luck of seeds and splits, or get more rows"
            )
            line = repeated
    return [
        Finding(
            "folds",
            "",
            0.6,
            f"the folds disagree about which trial is better: the error of a trial over "
            f"{table.folds} folds is {table.error:.2g}, and {differ}; {wanted}",
            {
                "error": table.error,
                "differences": apart,
                "reliability_at_most": reliability,
                "times": times,
            },
            way_out,
            line,
        )
    ]


def _repeat_folds(label: str, times: int) -> str:
    """The evaluator with so many times the repeats, as a line of the study.

    Empty where its folds would be the same each time.
    """
    made = make_evaluator(label)
    if not isinstance(made, KFold) or not made.shuffle:
        return ""
    repeats = max(2, min(_MOST_REPEATS, made.repeats * times))
    if repeats <= made.repeats:
        return ""
    return f"evaluator={shorten_label(replace(made, repeats=repeats).label)}"
