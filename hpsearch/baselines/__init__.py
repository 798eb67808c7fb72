"""Plain models that a search is compared with. See README.md."""

from hpsearch.baselines.choose import BaselineSet, choose_baselines
from hpsearch.baselines.given import check_given, settings_of_given
from hpsearch.baselines.names import Baseline, SeasonalValue
from hpsearch.baselines.train import make_train_function

__all__ = [
    "Baseline",
    "BaselineSet",
    "SeasonalValue",
    "check_given",
    "choose_baselines",
    "make_train_function",
    "settings_of_given",
]
