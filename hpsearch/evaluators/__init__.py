"""Evaluators: how a point gets its score. See README.md."""

from hpsearch.evaluators.base import Evaluator, TrainingFailed
from hpsearch.evaluators.forward import Forward
from hpsearch.evaluators.given import Given
from hpsearch.evaluators.holdout import Holdout
from hpsearch.evaluators.kfold import KFold

__all__ = ["Evaluator", "Forward", "Given", "Holdout", "KFold", "TrainingFailed"]
