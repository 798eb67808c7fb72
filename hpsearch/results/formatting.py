"""Times, values and labels as text: the same on terminals, in reports and in model cards."""

from hpsearch import evaluators, searchers
from hpsearch.core.option_text import drop_defaults, option_classes
from hpsearch.core.parameters import point_text, short_text
from hpsearch.store import RankedTrial


def shorten_label(text: str) -> str:
    """A searcher's or evaluator's label without its defaults.

    >>> shorten_label("KFold(folds=3, groups=False, repeats=1, shared_batches=False)")
    'KFold(folds=3)'
    """
    return drop_defaults(text, (*option_classes(evaluators), *option_classes(searchers)))


def format_point(row: RankedTrial) -> str:
    """A ranked trial's point in one line; of a baseline, its name, marked."""
    return point_text(row.params) if row.baseline is None else f"{row.baseline} (baseline)"


def format_duration(seconds: float) -> str:
    """A duration in the one or two units that matter.

    >>> [format_duration(seconds) for seconds in (0.34, 8.4, 125, 1500, 7300)]
    ['0.34 s', '8 s', '2 min 5 s', '25 min', '2 h 1 min']
    """
    whole = round(seconds)
    if seconds < 1:
        return f"{seconds:.2g} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole // 60 % 60} min"


def format_with_error(value: float, se: float | None) -> str:
    """A value with its standard error.

    >>> format_with_error(0.91666, 0.01234), format_with_error(2.5, None)
    ('0.9167 ± 0.0123', '2.5')
    """
    return short_text(value) if se is None else f"{value:.4f} ± {se:.4f}"
