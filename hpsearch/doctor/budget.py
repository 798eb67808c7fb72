"""Findings on what the budget bought: nothing beyond luck, the default point, or a plain model."""

import json
import math

from hpsearch.core.parameters import point_text
from hpsearch.doctor.evidence import FEWEST_TRIALS, SearchEvidence
from hpsearch.doctor.findings import Finding
from hpsearch.doctor.noise import trial_error
from hpsearch.results.formatting import format_with_error


def find_spent_budget(evidence: SearchEvidence) -> list[Finding]:
    """The last third of the full trainings found nothing beyond luck, and no more would."""
    from scipy.special import chdtri

    full = evidence.full
    error = trial_error(evidence)
    if len(full) < FEWEST_TRIALS or error is None:
        return []
    losses = [evidence.loss(trial.value) for trial in full if trial.value is not None]
    before = len(losses) - len(losses) // 3
    best = min(losses)
    gain = min(losses[:before]) - best
    # What half as many trials again would gain. The distances of the best few from the next are
    # exponential, as of any distribution whose tail is not heavy (Weissman, JASA 73, 1978).
    order = sorted(losses)
    few = max(5, len(losses) // 10)
    scale = sum(order[few] - loss for loss in order[:few]) / few
    most = scale * 2 * few / float(chdtri(2 * few, 0.95)) * math.log(1.5)
    if gain >= error or most >= error:
        return []
    return [
        Finding(
            "budget",
            "",
            0.35,
            f"the last third of the budget found nothing beyond luck: the last "
            f"{len(losses) - before} of {len(losses)} full trainings improved the best by "
            f"{gain:.2g}, and half as many again would by {most:.2g} at most; luck alone moves a "
            f"value by {error:.2g}",
            {
                "gain": gain,
                "most_further_gain": most,
                "error": error,
                "best": evidence.ranking[0].value,
            },
            "train the best again instead of more trials, or widen the space",
            evidence.command("run", repeats=5, finalists=5),
        )
    ]


def find_good_default(evidence: SearchEvidence) -> list[Finding]:
    """The point that the builder knows as its default is not significantly worse than the best."""
    try:
        default = json.loads(evidence.record.training).get("default_point")
    except (AttributeError, ValueError):
        return []
    if not isinstance(default, dict) or len(evidence.ranking) < FEWEST_TRIALS:
        return []
    rows = [row for row in evidence.ranking if dict(row.params) == default]
    tied = sum(bool(row.tied) for row in evidence.ranking[1:])
    # Where most trials are not significantly different, that says nothing of this one.
    if not rows or 2 * tied >= len(evidence.ranking):
        return []
    row, best = rows[0], evidence.ranking[0]
    if not (row.rank == 1 or row.tied):
        return []
    value = f"{row.measure} {format_with_error(row.value, row.se)}"
    if row is best:
        sentence = f"none of {len(evidence.ranking)} trials is better than the builder's default"
    else:
        sentence = (
            f"the builder's default ({value}) is not significantly worse than the best of "
            f"{len(evidence.ranking)} trials ({format_with_error(best.value, best.se)})"
        )
    return [
        Finding(
            "baseline",
            "",
            0.4,
            f"{sentence}: the search found nothing beyond it",
            {"default": row.value, "best": best.value, "rank": row.rank, "trial": row.trial},
            f"keep the default ({point_text(row.params)}), or search what it does not vary",
            evidence.command("refit", trial=row.trial),
        )
    ]


def find_good_plain_model(evidence: SearchEvidence) -> list[Finding]:
    """A plain model, trained beside the search to compare with, is as good as its best trial."""
    gain = evidence.gain
    if gain is None or gain.verdict not in ("no better", "worse"):
        return []
    if len(evidence.ranking) < FEWEST_TRIALS:  # the search has hardly begun
        return []
    best = format_with_error(gain.best.value, gain.best.se)
    plain = format_with_error(gain.baseline.value, gain.baseline.se)
    return [
        Finding(
            "plain model",
            "",
            0.6,
            f"the best of {len(evidence.ranking)} trials ({gain.best.measure} {best}) is not "
            f"significantly better than {gain.baseline.baseline} ({plain})",
            gain.to_json(),
            "keep the plain model, or widen the space",
            evidence.command("refit", baseline=gain.baseline.baseline),
        )
    ]
