"""L1 and L2 penalties of kernels, and the choice among them, "none" included."""

from collections.abc import Mapping
from typing import Any

from hpsearch import Choice, Float
from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from spaces import checks

PARAMS = ("penalty", "l1", "l2")

_FACTORS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "l1": ("l1",),
    "l2": ("l2",),
    "l1_l2": ("l1", "l2"),
}
"""By each value of `penalty`, the factors that it has."""

Range = tuple[float, float]


def choices(l1: Range | None = None, l2: Range | None = None) -> dict[str, Choice | Float]:
    """Which penalty the kernels have, or "none", and its factors where they have it.

    A factor that is searched on a logarithmic range is never 0, so that a network without a penalty
    needs this choice.

    Args:
        l1, l2: the lowest and the highest factor, above 0; None: this penalty is not tried.
    """
    ranges = {"l1": l1, "l2": l2}
    tried = {name: ends for name, ends in ranges.items() if ends is not None}
    if not tried:
        raise ValueError("penalties need a range of factors, as l2=(1e-5, 1e-2), got none")
    for name, ends in tried.items():
        if not isinstance(ends, tuple | list) or len(ends) != 2:
            raise ValueError(
                f"penalties need {name}= the lowest and the highest factor, as (1e-5, 1e-2), got "
                f"{brief(ends)}"
            )
    kinds = [kind for kind, factors in _FACTORS.items() if tried.keys() >= set(factors)]
    return {
        "penalty": Choice(*kinds),
        **{
            name: Float(*ends, log=True, when={"penalty": _kinds_with(name, kinds)})
            for name, ends in tried.items()
        },
    }


def _kinds_with(factor: str, kinds: list[str]) -> tuple[str, ...]:
    return tuple(kind for kind in kinds if factor in _FACTORS[kind])


def make(params: Mapping[str, Any]) -> Any:
    """The regularizer that the parameters ask for; None for none.

    Raises BuildError where `penalty` and the factors contradict each other.
    """
    from keras import regularizers

    _check_factors(params)
    # Parts whose factor is 0 are left out: they would make another program.
    l1, l2 = checks.number(params, "l1"), checks.number(params, "l2")
    if l1 and l2:
        return regularizers.L1L2(l1, l2)
    if l1:
        return regularizers.L1(l1)
    return regularizers.L2(l2) if l2 else None


def _check_factors(params: Mapping[str, Any]) -> None:
    if "penalty" not in params:
        return
    kind = checks.one_of(params, "penalty", tuple(_FACTORS), "none")
    given = tuple(name for name in ("l1", "l2") if name in params)
    if given != _FACTORS[kind]:
        raise BuildError(
            f"penalty={kind!r} goes with {' and '.join(_FACTORS[kind]) or 'no factor'}, got "
            f"{' and '.join(given) or 'none'}; mlp.penalties(l2=(1e-5, 1e-2)) makes them fit"
        )
