"""A trained network as a SciKeras estimator.

Measured with SciKeras 0.13.0 on the JAX backend: fitting, predicting, scoring, cloning, pickling
and cross-validation of its wrappers work; but scikit-learn's `is_classifier` says no of them, so
that their folds are not stratified, which the classes here mend; and a clone cannot be fitted
where loss="categorical_crossentropy" meets two classes, which SciKeras does not one-hot. Importing SciKeras imports
TensorFlow wherever that is installed, and changes how Keras pickles models, losses and optimizers
in this process. Hence nothing imports this file before `best_estimator_` is asked for.
"""

from functools import partial
from typing import Any

import numpy as np
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import ClassifierTags, RegressorTags

from hpsearch.core.data import Array
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.sklearn_api.network import Network
from hpsearch.training import metrics
from hpsearch.training.base import Build, Fit, ModelSpec, batch_size
from hpsearch.training.building import build_model


class SearchedClassifier(KerasClassifier):  # type: ignore[misc]
    """SciKeras's classifier, with `preprocess`: a transformer that `fit` fits on its rows, or None."""

    @property
    def feature_encoder(self) -> Any:
        return _feature_encoder(self.preprocess)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags


class SearchedRegressor(KerasRegressor):  # type: ignore[misc]
    """SciKeras's regressor, likewise."""

    @property
    def feature_encoder(self) -> Any:
        return _feature_encoder(self.preprocess)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags


def make_scikeras_estimator(
    task: Task, network: Network, fit: Fit, x: Array, y: Array, *, classes: bool
) -> Any:
    """The SciKeras estimator of a network that `fit` trained; `fit` of a clone trains one anew.

    x, y: a few rows, not prepared, with the targets as the user has them: every class at least once.
    classes: whether it is a classifier.
    """
    spec = ModelSpec(
        input_shape=tuple(network.model.input_shape[1:]),
        outputs=int(network.model.output_shape[-1]),
        activation=task.activation,
        loss=task.loss,
        metrics=[] if task.metric == "loss" else metrics.to_compile(task),
    )
    kind = SearchedClassifier if classes else SearchedRegressor
    estimator = kind(
        model=partial(
            _build_untrained, build=fit.build, point=dict(fit.params), spec=spec, seed=fit.seed
        ),
        preprocess=task.preprocess,
        loss=task.loss,
        epochs=fit.epochs,
        batch_size=batch_size(fit.params),
        random_state=fit.seed,
        verbose=0,
    )
    # As float64, so that SciKeras, which refuses to lose precision, takes floats of any kind.
    # Without NaN, which it refuses too, also when it predicts.
    estimator.initialize(np.nan_to_num(x.astype(np.float64)), y)
    estimator.model_ = network.model
    if network.transformer is not None:
        estimator.feature_encoder_ = network.transformer
    return estimator


def _build_untrained(
    build: Build, point: Params, spec: ModelSpec, seed: int, preprocess: Any = None
) -> Any:
    """The untrained model. preprocess: SciKeras passes whatever settings it does not know."""
    return build_model(build, spec, point, seed)


def _feature_encoder(preprocess: Any) -> Any:
    return FunctionTransformer() if preprocess is None else clone(preprocess)
