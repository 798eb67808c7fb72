"""A trained network as a SciKeras estimator.

With SciKeras 0.13.0 its wrappers can fit, predict, score, be cloned, pickled and cross-validated on
JAX and TensorFlow, with two limits. scikit-learn's `is_classifier` is false for them, so that folds
would not be stratified; the classes here correct that. A clone cannot be fitted with
loss="categorical_crossentropy" on two classes, because SciKeras does not one-hot them.

Importing SciKeras imports TensorFlow where that is installed, and changes how Keras pickles models,
losses and optimizers in this process. So this file is imported only by `to_scikeras`.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import ClassifierTags, RegressorTags

from hpsearch.core.arrays import Array
from hpsearch.core.errors import BuildError
from hpsearch.core.frames.rows import FrameCode
from hpsearch.core.space import Params
from hpsearch.training.base import Build, ModelSpec
from hpsearch.training.building import call_build
from hpsearch.training.point_parameters import batch_size, shuffles
from hpsearch.training.rows import prepare_inputs


class SearchedClassifier(KerasClassifier):  # type: ignore[misc]
    """SciKeras's classifier with `preprocess`: None, or a transformer that `fit` fits first."""

    @property
    def feature_encoder(self) -> Any:
        return _make_encoder(self.preprocess)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags


class SearchedRegressor(KerasRegressor):  # type: ignore[misc]
    """SciKeras's regressor with `preprocess`, as for the classifier."""

    @property
    def feature_encoder(self) -> Any:
        return _make_encoder(self.preprocess)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags


def make_scikeras_estimator(
    model: Any,
    spec: ModelSpec,
    *,
    build: Build,
    params: Params,
    epochs: int,
    seed: int,
    preprocess: Any,
    fitted: Any,
    code: FrameCode | None,
    class_weight: Any,
    row_shape: tuple[int, ...],
    y: Array,
    classifies: bool,
) -> Any:
    """The SciKeras estimator of a trained network; fitting a clone trains a new network.

    Args:
        model: the trained Keras model.
        spec: what `build` was told. Of a clone, the number of rows follows its own.
        epochs, seed: of the fit that trained it, and of clones.
        preprocess, fitted: a transformer, and the same fitted; None for none.
        code: how arrays become the frames that the transformer takes; None where it takes arrays.
        class_weight: of a classifier, by the user's labels.
        row_shape: of a row before preprocessing.
        y: targets in the user's form, each class at least once; by these SciKeras knows the labels.

    Raises ValueError for a model that is trained in phases.
    """
    kind = SearchedClassifier if classifies else SearchedRegressor
    estimator = kind(
        model=partial(_build_untrained, build=build, point=dict(params), spec=spec, seed=seed),
        preprocess=None,
        loss=spec.loss,
        epochs=epochs,
        batch_size=batch_size(params),
        shuffle=shuffles(params),
        random_state=seed,
        verbose=0,
        **({"class_weight": class_weight} if classifies else {}),
    )
    # Without the transformer, which could not be fitted on these rows. As float64, because SciKeras
    # refuses to lose precision in later calls.
    estimator.initialize(np.zeros((len(y), *row_shape)), y)
    estimator.set_params(preprocess=_of_arrays(preprocess, code))
    estimator.model_ = model
    estimator.feature_encoder_ = _chain_encoder(_of_arrays(fitted, code))
    return estimator


def _build_untrained(
    build: Build, point: Params, spec: ModelSpec, seed: int, meta: Any, preprocess: Any = None
) -> Any:
    """The untrained model.

    Args:
        meta: what SciKeras knows of the rows.
        preprocess: unused; SciKeras passes all settings it does not know.
    """
    spec = replace(spec, rows=int(meta["X_shape_"][0]))
    model, phases = call_build(build, spec, point, seed)
    if phases:
        raise BuildError(
            "SciKeras trains in one fit, and this model is trained in phases; predict and train by "
            "best_estimator_ itself"
        )
    return model


def _of_arrays(transformer: Any, code: FrameCode | None) -> Any:
    """A transformer of frames as one of arrays."""
    return (
        transformer
        if code is None
        else make_pipeline(FunctionTransformer(code.decode), transformer)
    )


def _make_encoder(preprocess: Any) -> Any:
    return _chain_encoder(None if preprocess is None else clone(preprocess))


def _chain_encoder(transformer: Any) -> Any:
    """A transformer whose input and output are as those of the product's own training."""
    if transformer is None:
        return FunctionTransformer()
    return make_pipeline(
        FunctionTransformer(partial(np.asarray, dtype=np.float64)),
        transformer,
        FunctionTransformer(partial(prepare_inputs, None)),
    )
