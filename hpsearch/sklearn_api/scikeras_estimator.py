"""A trained network as a SciKeras estimator.

With SciKeras 0.13.0 on the JAX backend, its wrappers can fit, predict, score, be cloned, pickled
and cross-validated, with two limits. scikit-learn's `is_classifier` is false for them, so that
folds would not be stratified; the classes here correct that. A clone cannot be fitted with
loss="categorical_crossentropy" on two classes, because SciKeras does not one-hot them.

Importing SciKeras imports TensorFlow where that is installed, and changes how Keras pickles models,
losses and optimizers in this process. So this file is imported only for `best_estimator_`.
"""

from functools import partial
from typing import Any

import numpy as np
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import ClassifierTags, RegressorTags

from hpsearch.core.arrays import Array
from hpsearch.core.errors import BuildError
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.sklearn_api.network import Network
from hpsearch.training import metrics
from hpsearch.training.base import Build, Fit, ModelSpec, batch_size
from hpsearch.training.building import call_build


class SearchedClassifier(KerasClassifier):  # type: ignore[misc]
    """SciKeras's classifier with `preprocess`: None, or a transformer that `fit` fits first."""

    @property
    def feature_encoder(self) -> Any:
        return _feature_encoder(self.preprocess)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags


class SearchedRegressor(KerasRegressor):  # type: ignore[misc]
    """SciKeras's regressor with `preprocess`, as for the classifier."""

    @property
    def feature_encoder(self) -> Any:
        return _feature_encoder(self.preprocess)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags


def make_scikeras_estimator(
    task: Task,
    network: Network,
    fit: Fit,
    x: Array,
    y: Array,
    *,
    classes: bool,
    class_weight: Any = None,
) -> Any:
    """The SciKeras estimator of a trained network; fitting a clone trains a new network.

    Args:
        fit: the one that trained the network.
        x, y: a few rows before preprocessing, with targets in the user's form; each class at least
            once.
        classes: whether it is a classifier.
        class_weight: of a classifier, by the user's labels.
    """
    spec = ModelSpec(
        input_shape=tuple(network.model.input_shape[1:]),
        outputs=int(network.model.output_shape[-1]),
        activation=task.activation,
        loss=task.loss,
        metrics=metrics.make_metrics(task, to_save=True),
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
        **({"class_weight": class_weight} if classes else {}),
    )
    # As float64, because SciKeras refuses to lose precision in later calls. Without NaN, because it
    # refuses these too.
    estimator.initialize(np.nan_to_num(x.astype(np.float64)), y)
    estimator.model_ = network.model
    if network.transformer is not None:
        estimator.feature_encoder_ = network.transformer
    return estimator


def _build_untrained(
    build: Build, point: Params, spec: ModelSpec, seed: int, preprocess: Any = None
) -> Any:
    """The untrained model. preprocess: unused; SciKeras passes all settings it does not know."""
    model, phases = call_build(build, spec, point, seed)
    if phases:
        raise BuildError(
            "best_estimator_ trains in one fit, and this model in phases; predict by the search"
        )
    return model


def _feature_encoder(preprocess: Any) -> Any:
    return FunctionTransformer() if preprocess is None else clone(preprocess)
