"""What users may say by `Study(baselines=...)`: checked, and as text."""

from collections.abc import Mapping
from typing import Any

from hpsearch.baselines.names import NAMES, SEASONAL, SeasonalValue
from hpsearch.core.errors import StudyError
from hpsearch.core.option_text import did_you_mean, settings_text
from hpsearch.core.rules import brief, why_no_name


def check_given(given: Any) -> None:
    """Raise StudyError where this cannot be `Study(baselines=...)`."""
    if given is None or (isinstance(given, tuple | list) and not given):
        return
    if not isinstance(given, Mapping):
        raise StudyError(
            'Study needs baselines= a dict of estimators by name, as {"nearest neighbours": '
            "KNeighborsClassifier()}; () for none, or None for those that suit the task; got "
            f"{brief(given)}"
        )
    for name, value in given.items():
        if why := why_no_name(name):
            raise StudyError(f"baselines= needs names, each {why}, got {brief(name)}")
        if value is None:
            if name not in NAMES or name == SEASONAL:
                known = [each for each in NAMES if each != SEASONAL]
                raise StudyError(
                    f"baselines={{{name!r}: None}} is for those that hpsearch makes itself"
                    f"{did_you_mean(name, known)}: {'; '.join(known)}; give an estimator"
                    + (", as SeasonalValue(24)" if name == SEASONAL else "")
                )
        elif not isinstance(value, SeasonalValue) and not _makes_estimators(value):
            raise StudyError(
                f"baselines={{{name!r}: ...}} needs an estimator of scikit-learn's, a function that "
                f"returns one, or None, got {brief(value)}"
            )


def _makes_estimators(value: Any) -> bool:
    return callable(value) or all(
        callable(getattr(value, method, None)) for method in ("fit", "predict", "get_params")
    )


def settings_of_given(given: Any) -> str:
    """A text that differs where `Study(baselines=...)` does."""
    return settings_text(dict(given) if isinstance(given, Mapping) else given)
