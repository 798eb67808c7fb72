"""A model card in the target's own unit, where the model was trained in another."""

from collections.abc import Mapping
from typing import Any

from hpsearch.core.coding import Coding

_METRIC_VALUES = ("value", "se", "alone_mean", "alone_se")


def convert_to_own_unit(
    card: Mapping[str, Any], coding: Coding | None, power: int | None
) -> dict[str, Any]:
    """The card with values and residuals in the target's own unit, and a field `unit` that says so.

    Args:
        power: the power of the target's unit that the metric is in; None: unknown, so that its
            values stay as they are.
    """
    if coding is None or coding.is_own_unit:
        return {**card, "unit": None}
    if coding.logarithm:
        # Residuals are in the target's own unit already; the metric's values cannot be converted.
        return {**card, "unit": {"target": coding.target, "values": coding.unit}}
    factor = 1.0 if power is None else coding.scale**power

    def to_own_unit(scores: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(scores)
        for name in _METRIC_VALUES:
            if found.get(name) is not None:
                found[name] *= factor
        if "alone" in found:
            found["alone"] = [value * factor for value in found["alone"]]
        if "residuals" in found:
            for name in ("mae", "rmse"):
                found[name] *= coding.scale
            found["residuals"] = {q: v * coding.scale for q, v in found["residuals"].items()}
            found["against_true"] = [
                {name: value * coding.scale + coding.offset for name, value in tenth.items()}
                for tenth in found["against_true"]
            ]
        return found

    unit: dict[str, Any] = {"target": coding.target, "one": coding.scale}
    if power is None:
        unit["values"] = f"computed from targets {coding.unit}"
    made = {
        **card,
        "unit": unit,
        "members": [to_own_unit(member) for member in card["members"]],
        "validation": to_own_unit(card["validation"]),
        "test": card["test"] and to_own_unit(card["test"]),
    }
    if "optimism" in card:
        made["optimism"] = card["optimism"] * factor
    if over := card.get("over_baseline"):
        made["over_baseline"] = {
            **over,
            "gain": over["gain"] * factor,
            "se": over["se"] and over["se"] * factor,
            "test": over["test"] and to_own_unit(over["test"]),
        }
    return made
