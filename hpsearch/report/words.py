"""Times and methods in words, as people say them."""

from hpsearch import evaluators, searchers
from hpsearch.core.option_text import shortened
from hpsearch.run.load import offered


def label(text: str) -> str:
    """A searcher's or evaluator's label as people read it.

    >>> label("KFold(folds=3, groups=False, repeats=1, shared_batches=False)")
    'KFold(folds=3)'
    """
    return shortened(text, (*offered(evaluators), *offered(searchers)))


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(0.34), duration(8.4), duration(125), duration(1500), duration(7300)
    ('0.34 s', '8 s', '2 min 5 s', '25 min', '2 h 1 min')
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
