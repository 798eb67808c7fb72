"""Hyperparameter search and model selection for Keras models.

Every name here is cheap to import: no deep-learning framework is loaded before a model is built.
"""

from hpsearch.evaluators import Holdout, KFold
from hpsearch.parameters import Choice, Float, Int
from hpsearch.searchers import (
    Asha,
    Bayes,
    Genetic,
    Grid,
    GrowThenRegularize,
    Hyperband,
    KerasTunerHyperband,
    Random,
)
from hpsearch.space import Space
from hpsearch.study import Study
from hpsearch.task import Data, Task

__all__ = [
    "Asha",
    "Bayes",
    "Choice",
    "Data",
    "Float",
    "Genetic",
    "Grid",
    "GrowThenRegularize",
    "Holdout",
    "Hyperband",
    "Int",
    "KFold",
    "KerasTunerHyperband",
    "Random",
    "Space",
    "Study",
    "Task",
]
