"""Hyperparameter search and model selection for Keras models.

Every name here is cheap to import: no deep-learning framework is loaded before a model is built.
"""

from typing import TYPE_CHECKING, Any

from hpsearch.baselines.names import SeasonalValue
from hpsearch.core.data import Data
from hpsearch.core.drawing import draw_by
from hpsearch.core.errors import FatalError, TrialFailed
from hpsearch.core.parameters import Choice, Float, Int
from hpsearch.core.reading.source import Source
from hpsearch.core.space import Space
from hpsearch.core.target_steps import Difference
from hpsearch.core.task import Task
from hpsearch.evaluators import Forward, Given, Holdout, KFold
from hpsearch.python_api.study import Study
from hpsearch.searchers import (
    Asha,
    Auto,
    Bayes,
    Genetic,
    Grid,
    GrowThenRegularize,
    Hyperband,
    KerasTunerHyperband,
    Random,
)

if TYPE_CHECKING:
    from hpsearch.plots.results import Results
    from hpsearch.selection.nested import NestedKFold
    from hpsearch.sklearn_api.estimator import KerasSearchCV
    from hpsearch.sources.image_folder import ImageFolder
    from hpsearch.sources.parquet import ParquetRows
    from hpsearch.sources.text_folder import TextFolder
    from hpsearch.sources.windows import Windows
    from hpsearch.transformers.lags import Lags
    from hpsearch.transformers.per_channel import PerChannel

__all__ = [
    "Asha",
    "Auto",
    "Bayes",
    "Choice",
    "Data",
    "Difference",
    "FatalError",
    "Float",
    "Forward",
    "Genetic",
    "Given",
    "Grid",
    "GrowThenRegularize",
    "Holdout",
    "Hyperband",
    "ImageFolder",
    "Int",
    "KFold",
    "KerasSearchCV",
    "KerasTunerHyperband",
    "Lags",
    "NestedKFold",
    "ParquetRows",
    "PerChannel",
    "Random",
    "Results",
    "SeasonalValue",
    "Source",
    "Space",
    "Study",
    "Task",
    "TextFolder",
    "TrialFailed",
    "Windows",
]

# Loaded when asked for: they bring scikit-learn, pandas, or all that a search needs.
_LATER = {
    "ImageFolder": "hpsearch.sources.image_folder",
    "KerasSearchCV": "hpsearch.sklearn_api.estimator",
    "Lags": "hpsearch.transformers.lags",
    "NestedKFold": "hpsearch.selection.nested",
    "ParquetRows": "hpsearch.sources.parquet",
    "PerChannel": "hpsearch.transformers.per_channel",
    "Results": "hpsearch.plots.results",
    "TextFolder": "hpsearch.sources.text_folder",
    "Windows": "hpsearch.sources.windows",
    "run": "hpsearch.python_api.sweep",
    # Not in __all__: `from hpsearch import *` would hide Python's own `open`, and many a `run`.
    "open": "hpsearch.python_api.opened_store",
}


def _draw_score(*arguments: Any) -> Any:
    from hpsearch.plots.curves import draw_score

    return draw_score(*arguments)


draw_by("score", _draw_score)


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
