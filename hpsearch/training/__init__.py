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
from hpsearch.training.own_step import make_training_step
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
    "make_training_step",
    "sklearn_model",
]
