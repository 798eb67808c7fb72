"""Cards in the target's own unit: which values are converted, and what is said of the others."""

import pytest

from hpsearch.core.coding import Coding
from hpsearch.models.scoring import unit_power
from hpsearch.selection.card import render_card
from hpsearch.selection.units import convert_to_own_unit

pytestmark = pytest.mark.slow  # scoring imports Keras

CODING = Coding(target="price", offset=10.0, scale=4.0)
SCORES = {
    "value": 0.5,
    "se": 0.1,
    "mae": 0.5,
    "rmse": 0.6,
    "residuals": {"50%": 0.25},
    "against_true": [{"true": 1.0, "predicted": 2.0}],
}
MEMBER = {
    "trial": 1,
    "params": {},
    "weight": 1.0,
    "parameters": 9,
    "value": 0.5,
    "se": 0.1,
    "best_epoch": 2,
    "best_epoch_rows": 8,
    "epochs": 2,
}
CARD = {
    "task": "t",
    "study": "s",
    "metric": "m",
    "direction": "min",
    "evaluator": "Holdout()",
    "trials": 1,
    "choice": "the best",
    "members": [MEMBER],
    "seeds": 1,
    "rows": 10,
    "scale": "epochs",
    "edited": False,
    "trust": [],
    "validation": SCORES,
    "test": None,
}


@pytest.mark.parametrize(
    ("metric", "factor"),
    [
        *(("mae", 4), ("mse", 16), ("neg_mean_absolute_error", 4), ("max_error", 4)),
        *(("neg_mean_squared_error", 16), ("neg_root_mean_squared_error", 4)),
    ],
)
def test_known_metrics_are_converted(metric, factor):
    card = convert_to_own_unit(CARD, CODING, unit_power(metric))
    assert card["validation"]["value"] == card["members"][0]["value"] == 0.5 * factor
    assert card["validation"]["mae"] == 2
    assert "Values are in the unit of 'price'" in render_card(card)


@pytest.mark.parametrize("metric", ["r2", "loss", "a_function_of_ones_own"])
def test_other_values_stay_and_the_card_says_so(metric):
    card = convert_to_own_unit(CARD, CODING, unit_power(metric))
    assert card["validation"]["value"] == card["members"][0]["value"] == 0.5
    assert card["validation"]["mae"] == 2
    assert (
        "Values are computed from targets in standard deviations of 'price' (1 = 4); residuals are "
        "in the unit of 'price'."
    ) in render_card(card)
