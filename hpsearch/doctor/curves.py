"""Findings on learning curves: all overfit, all stop too early, first epochs tell nothing."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch import searchers
from hpsearch.core.curves import mean_curve
from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import option_classes, option_text, parse_options
from hpsearch.core.parameters import Float, range_text
from hpsearch.core.trial import Curve, Observation
from hpsearch.doctor.evidence import SearchEvidence
from hpsearch.doctor.findings import Finding
from hpsearch.doctor.noise import trial_error
from hpsearch.doctor.ranges import list_deciding, study_line, widen
from hpsearch.doctor.surface import Array, normal_scores
from hpsearch.searchers.grow import ENLARGES, WEAKENS, explain_overfitting

_FEWEST = 10  # trials; were it every second one, nine of ten would be so by 1 % chance
_NEARLY_ALL = 0.9
_FEWEST_EPOCHS = 5  # of a curve with a beginning and an end
_SAME = 0.5  # correlation below which less than a quarter of the variance is foreseen


@dataclass(frozen=True)
class MeanCurves:
    """A trial's curves, means over its folds, as losses: lower is better.

    Args:
        own: the metric on validation rows; train: on training rows, NaN where not reported.
        validation_loss, train_loss: the loss that was minimised.
    """

    own: Sequence[float]
    train: Sequence[float]
    validation_loss: Sequence[float]
    train_loss: Sequence[float]

    @property
    def best(self) -> int:
        """The index of the best epoch."""
        return min(range(len(self.own)), key=lambda epoch: self.own[epoch])


def find_overfitting(evidence: SearchEvidence) -> list[Finding]:
    """Nearly all trials are best in the first half of their epochs, and overfit after."""
    curves = _curves_in_full(evidence)
    if len(curves) < _FEWEST:
        return []
    over = [each for each in curves if 2 * (each.best + 1) <= len(each.own) and _overfits(each)]
    if len(over) < _NEARLY_ALL * len(curves):
        return []
    epoch = round(statistics.median(each.best + 1 for each in over))
    epochs = evidence.full_epochs
    way_out, line = _regularize(evidence)
    return [
        Finding(
            "overfitting",
            "",
            0.6,
            f"all overfit: {len(over)} of {len(curves)} trials are best by epoch {epoch} of "
            f"{epochs} or about then, and after it the training loss falls while the validation "
            "loss rises",
            {"overfit": len(over), "trials": len(curves), "best_epoch": epoch, "epochs": epochs},
            way_out,
            line,
        )
    ]


def find_underfitting(evidence: SearchEvidence) -> list[Finding]:
    """Nearly all of the best trials still improve at their last epoch, or could not learn more."""
    curves = _curves_in_full(evidence)
    error = trial_error(evidence)
    if len(curves) < _FEWEST:
        return []
    # Against the error of a value, not of a difference: all may gain alike, and next to nothing.
    of_best = evidence.ranking[0].se or 0.0
    least = max(of_best, error or 0.0)
    # What patience stopped had no more to gain.
    whole = [each for each in curves if len(each.own) >= evidence.full_epochs]
    rising = [gain for each in whole if (gain := _late_gain(each, least)) > 0]
    if len(rising) >= _NEARLY_ALL * len(curves):
        epochs = evidence.full_epochs
        gain = statistics.median(rising)
        return [
            Finding(
                "underfitting",
                "epochs",
                0.55,
                f"training stops too early: {len(rising)} of {len(curves)} trials still improve at "
                f"their last epoch, by {gain:.2g} over the last fifth of {epochs} epochs",
                {"improving": len(rising), "trials": len(curves), "gain": gain, "epochs": epochs},
                "train longer",
                _with_option(evidence, ("epochs", "max_epochs"), 3 * epochs),
            )
        ]
    return _find_small_models(evidence, curves, error)


def _find_small_models(
    evidence: SearchEvidence, curves: Sequence[MeanCurves], error: float | None
) -> list[Finding]:
    """Training rows are learned no better than validation rows, and far from perfectly."""
    values = [v for each in curves for v in (*each.own, *each.train)]
    if error is None or not all(map(math.isfinite, values)):
        return []
    # The best that there is: an accuracy of 1, a loss of 0, also where it is negated. Other metrics
    # have none that is known.
    is_negated = evidence.metric.name.rpartition("/")[2].startswith("neg_")
    perfect = -1.0 if evidence.metric.higher_is_better and not is_negated else 0.0
    if min(values) < perfect:
        return []
    alike = [
        each
        for each in curves
        if abs(each.own[each.best] - each.train[each.best]) <= error
        and each.train[each.best] - perfect > 4 * error
    ]
    if len(alike) < _NEARLY_ALL * len(curves):
        return []
    gap = statistics.median(each.own[each.best] - each.train[each.best] for each in alike)
    lines = [
        study_line(name, wider)
        for name in evidence.space
        if ENLARGES.search(name)
        and name not in list_deciding(evidence.space)
        and (wider := widen(name, evidence.space[name], "high"))
    ]
    return [
        Finding(
            "underfitting",
            "size",
            0.5,
            f"all underfit: in {len(alike)} of {len(curves)} trials training rows are learned no "
            f"better than validation rows (they differ by {gap:.2g}, luck by {error:.2g})",
            {"underfit": len(alike), "trials": len(curves), "gap": gap, "error": error},
            "try larger networks" if lines else "give the network more layers or units",
            lines[0] if lines else "",
        )
    ]


def find_useless_beginnings(evidence: SearchEvidence) -> list[Finding]:
    """Values at the lowest rung say little of those at the last epoch, over full trainings."""
    rungs = sorted({trial.asked_epochs for trial in evidence.trials})
    first, last = (rungs[0], rungs[-1]) if rungs else (0, 0)
    full = _unchosen_curves(evidence)
    if first == last or len(full) < _FEWEST:
        return []
    end = normal_scores([min(each) for each in full])
    limits = {e: _correlation(full, e, end) for e in range(first, last + 1)}
    rho, highest = limits[first]
    if highest >= _SAME:
        return []
    # From the first epoch on that foresees half of the variance.
    better = next((e for e in limits if limits[e][0] ** 2 >= 0.5), last)
    line = _with_option(evidence, ("min_epochs",), better)
    return [
        Finding(
            "beginnings",
            "",
            0.6,
            f"the first epochs tell nothing of the last: over {len(full)} full trainings, values "
            f"after {first} epoch{'s' if first > 1 else ''} correlate with those after {last} by "
            f"{rho:.2f} (by {highest:.2f} at most); after {better} epochs they do",
            {"correlation": rho, "at_most": highest, "epochs": first, "better_epochs": better},
            "raise min_epochs" if line else "train all trials in full",
            line or f"searcher=Random(trials=50, epochs={last})",
        )
    ]


def _correlation(full: Sequence[Sequence[float]], epochs: int, end: Array) -> tuple[float, float]:
    """The rank correlation of the best until an epoch with the end, and its upper limit at 95 %."""
    early = normal_scores([min(each[:epochs]) for each in full])
    if not np.any(early - early[0]) or not np.any(end - end[0]):
        return 0.0, 1.0
    rho = float(np.corrcoef(early, end)[0, 1])
    # Fisher's transformation, with the variance of rank correlations (Fieller et al., 1957).
    wide = math.atanh(min(rho, 0.999999)) + 1.645 * math.sqrt(1.06 / max(1, len(full) - 3))
    return rho, math.tanh(wide)


def _unchosen_curves(evidence: SearchEvidence) -> list[list[float]]:
    """The metric's curves of full trainings that no rung has chosen, as losses."""
    roots = {t.trial for t in evidence.roots if t.asked_epochs == evidence.full_epochs}
    found = [
        list(_mean_curves(evidence, curves).own)
        for trial, curves in evidence.curves.items()
        if trial in roots and curves
    ]
    return [each for each in found if each and all(map(math.isfinite, each))]


def _curves_in_full(evidence: SearchEvidence) -> list[MeanCurves]:
    """The curves of the better half of the ranking, as far as they were trained in full."""
    better = [row.trial for row in evidence.ranking if evidence.is_full(row)]
    chosen = better[: max(_FEWEST, len(better) // 2)]
    found = [_mean_curves(evidence, evidence.curves.get(trial, ())) for trial in chosen]
    return [
        each
        for each in found
        if len(each.own) >= _FEWEST_EPOCHS and all(map(math.isfinite, each.own))
    ]


def _mean_curves(evidence: SearchEvidence, curves: Sequence[Curve]) -> MeanCurves:
    own, train = (
        [evidence.loss(value) for value in mean_curve([getattr(c, part) for c in curves])]
        if curves
        else []
        for part in ("validation", "train")
    )
    losses = (
        mean_curve([getattr(curve, part) for curve in curves]) if curves else []
        for part in ("validation_loss", "train_loss")
    )
    return MeanCurves(own, train, *losses)


def _overfits(curves: MeanCurves) -> bool:
    seen = Observation(
        0.0,
        curve=tuple(curves.own),
        train_curve=tuple(curves.train),
        validation_loss=tuple(curves.validation_loss),
        train_loss=tuple(curves.train_loss),
    )
    return bool(explain_overfitting(seen))


def _late_gain(curves: MeanCurves, error: float) -> float:
    """What a trial gained over the last fifth of its epochs, where that is more than luck; else 0.

    Luck is the standard error of a value, or the usual change from epoch to epoch.
    """
    epochs = len(curves.own)
    usual = statistics.median(abs(b - a) for a, b in zip(curves.own, curves.own[1:], strict=False))
    before = min(curves.own[: epochs - max(1, epochs // 5)])
    gain = before - min(curves.own)
    return gain if gain > max(usual, error) else 0.0


def _regularize(evidence: SearchEvidence) -> tuple[str, str]:
    """The way out of overfitting that the space has room for, and its line."""
    space = evidence.space
    for name in space:
        if WEAKENS.search(name) and (wider := widen(name, space[name], "high")):
            return "let the space regularize more", study_line(name, wider)
    if not any(WEAKENS.search(name) for name in space):
        line = f"dropout={range_text(Float(0.0, 0.5))}"
        return "give the space what regularizes, if the builder takes it", line
    for name in space:
        if name in list_deciding(space) or not ENLARGES.search(name):
            continue
        if wider := widen(name, space[name], "low"):
            return "let the space have smaller networks", study_line(name, wider)
    return "stop where validation is best", f"patience={max(3, evidence.full_epochs // 10)}"


def _with_option(evidence: SearchEvidence, names: Sequence[str], value: int) -> str:
    """The searcher with another option, as a line of the study; "" where it has none of these."""
    classes = option_classes(searchers)
    text = option_text(evidence.record.searcher, classes)
    if text is None:
        return ""
    for name in names:
        try:
            made = parse_options(
                f"{text},{name}={value}" if ":" in text else text, "searcher", classes
            )
        except HpsearchError:
            continue
        if getattr(made, name, None) == value:
            return f"searcher={type(made).__name__}({name}={value}, ...)"
    return ""
