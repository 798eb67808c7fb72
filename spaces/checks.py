"""Check hyperparameters that builders take as numbers. Nothing is rounded or clipped."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import MOST_COUNTED, brief, why_no_number


def whole(params: Mapping[str, Any], name: str, default: int | None = None, least: int = 1) -> int:
    """A whole number, of units for example. BuildError for anything else, or too small a number.

    >>> whole({"units": 8.0}, "units"), whole({}, "blocks", 2)
    (8, 2)
    """
    value = params.get(name, default)
    if why_no_number(value) or value != int(value) or not least <= value <= MOST_COUNTED:
        raise BuildError(
            f"{name} must be a whole number of at least {least}, got {brief(value)}; "
            "use Int or Choice"
        )
    return int(value)


def number(
    params: Mapping[str, Any],
    name: str,
    default: float = 0.0,
    *,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """A number such as a rate or a factor. Raises BuildError outside of its bounds.

    Args:
        above: it must be larger than this; by default, 0 or more.
        below: it must be smaller than this.
        most: it must not be larger than this.
    """
    value = params.get(name, default)
    if why_no_number(value) or not (
        (value >= 0 if above is None else value > above)
        and (below is None or value < below)
        and (most is None or value <= most)
    ):
        ends = [f"above {above:g}" if above is not None else "0 or more"]
        ends += [f"below {below:g}"] if below is not None else []
        ends += [f"at most {most:g}"] if most is not None else []
        raise BuildError(f"{name} must be a number, {' and '.join(ends)}, got {brief(value)}")
    return float(value)


def switch(params: Mapping[str, Any], name: str) -> bool:
    """True or False; False where the space has no such parameter. BuildError for anything else."""
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise BuildError(f"{name} is True or False, got {brief(value)}")
    return value


def one_of(params: Mapping[str, Any], name: str, options: Sequence[str], default: str) -> str:
    """One of these texts. BuildError for anything else."""
    value = params.get(name, default)
    if not isinstance(value, str) or value not in options:
        raise BuildError(
            f"{name} is one of {', '.join(options)}, got {brief(value)}"
            f"{did_you_mean(str(value), options)}"
        )
    return str(value)


def find_in_keras(of: Any, kind: str, name: Any) -> Any:
    """One of Keras's activations or initializers, which may be given itself.

    Args:
        of: the module, as `keras.activations`.
        kind: what messages call them.
    """
    try:
        return of.get(name)
    except (TypeError, ValueError, RecursionError) as error:
        raise BuildError(
            f"Keras has no {kind} {brief(name)}{did_you_mean(str(name), dir(of))}"
        ) from error
