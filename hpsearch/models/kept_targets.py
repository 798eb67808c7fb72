"""What changes predictions back into the targets' own unit, as kept models have it on disk.

A Difference is plain JSON; scikit-learn's transformers lie in a file of skops's, by output.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hpsearch.core.rules import brief
from hpsearch.core.target_steps import Difference
from hpsearch.training.fitted_targets import FittedTargets

_OTHER = "transformer"  # in JSON, where the file of skops's has the step

Shapes = Mapping[str, tuple[int, ...]]


def targets_to_json(fitted: FittedTargets) -> dict[str, Any]:
    """The steps of each output, as plain JSON; fitted transformers are only counted."""
    return {
        name: [
            {"channel": step.channel, "input": step.input}
            if isinstance(step, Difference)
            else _OTHER
            for step in steps
        ]
        for name, steps in fitted.steps.items()
    }


def list_transformers(fitted: FittedTargets) -> dict[str, list[Any]]:
    """The fitted transformers of each output, without Differences; empty where there are none."""
    found = {
        name: [step for step in steps if not isinstance(step, Difference)]
        for name, steps in fitted.steps.items()
    }
    return {name: steps for name, steps in found.items() if steps}


def targets_from_json(
    given: Any, transformers: Any, shapes: Shapes, outputs: Collection[str]
) -> FittedTargets:
    """The inverse of both. Raises ValueError, TypeError or KeyError where they contradict each other.

    Args:
        given: as `targets_to_json` made it.
        transformers: as `list_transformers` made it; None where there is no file of them.
        shapes: of a row of each input.
        outputs: names of the model's.
    """
    if not isinstance(given, Mapping) or not isinstance(transformers or {}, dict):
        raise TypeError(f"preprocess_y is {brief(given)}")
    left = {str(name): iter(steps) for name, steps in (transformers or {}).items()}
    found = {str(n): tuple(_take_steps(n, steps, left, shapes)) for n, steps in given.items()}
    if any(next(steps, None) is not None for steps in left.values()):
        raise ValueError("its preprocess_y has more transformers than it names")
    if found.keys() != set(outputs):
        raise ValueError("its preprocess_y is of other outputs")
    return FittedTargets(found)


def _take_steps(
    name: str, given: list[Any], left: Mapping[str, Iterator[Any]], shapes: Shapes
) -> Iterator[Any]:
    for step in given:
        if step == _OTHER:
            transformer = next(left[name], None)
            if transformer is None:
                raise ValueError("its preprocess_y has fewer transformers than it names")
            yield transformer
            continue
        channel, known = step["channel"], shapes[step["input"]]
        fits = type(channel) is int and len(known) in (1, 2) and 0 <= channel < known[-1]
        if not fits or sum(each != _OTHER for each in given) > 1:
            raise ValueError(f"its preprocess_y subtracts {brief(step)}, which rows have not")
        yield Difference(channel, step["input"])
