"""Training: lists of fits in, learning curves out. See README.md."""

from hpsearch.training.base import (
    Build,
    Fit,
    ModelSpec,
    Phase,
    Phases,
    Split,
    Trainer,
    TrialInfo,
)
from hpsearch.training.own import TrainingRun
from hpsearch.training.sklearn_models import sklearn_model

__all__ = [
    "Build",
    "Fit",
    "ModelSpec",
    "Phase",
    "Phases",
    "Split",
    "Trainer",
    "TrainingRun",
    "TrialInfo",
    "sklearn_model",
]
