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
]
