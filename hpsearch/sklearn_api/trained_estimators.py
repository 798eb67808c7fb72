"""A point of a space as an estimator: its network, trained on all rows for so many epochs."""

import importlib.metadata
import platform
import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.validation import check_is_fitted

from hpsearch.core.arrays import Array
from hpsearch.core.searched_preprocessing import choose_params, is_searched, make_transformer
from hpsearch.sklearn_api.network import Network
from hpsearch.sklearn_api.targets import encode_targets
from hpsearch.sklearn_api.training_rows import TrainingRows, read_rows, read_training_rows
from hpsearch.training import backend
from hpsearch.training.base import Fit, ModelSpec, WithoutValidation
from hpsearch.training.point_parameters import batch_size


class _TrainedEstimator(BaseEstimator):  # type: ignore[misc]
    """What both kinds have in common. `_classifies` says which one it is."""

    _classifies: bool

    def __init__(
        self,
        build: Any = None,
        params: Any = None,
        epochs: int = 1,
        *,
        train: Any = None,
        loss: Any = None,
        preprocess: Any = None,
        preprocess_y: Any = None,
        class_weight: Any = None,
        callbacks: Any = None,
        seed: int = 0,
        most_epochs: int | None = None,
        engine: str = "auto",
    ) -> None:
        self.build = build
        self.params = params
        self.epochs = epochs
        self.train = train
        self.loss = loss
        self.preprocess = preprocess
        self.preprocess_y = preprocess_y
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.seed = seed
        self.most_epochs = most_epochs
        self.engine = engine

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on all rows. sample_weight: of each row in the loss, shape (rows,)."""
        rows = read_training_rows(
            self, X, y, preprocess=self.preprocess, loss=self.loss, classifies=self._classifies
        )
        # After the rows are checked, because these import Keras.
        from hpsearch.models import retrain

        task, data = rows.make_task(
            type(self).__name__,
            self.preprocess,
            self.class_weight,
            sample_weight,
            preprocess_y=self.preprocess_y,
            **({} if self._classifies else {"metric": "mse"}),
        )
        fit = Fit(
            self.build if self.train is None else self.train,
            dict(self.params or {}),
            retrain.all_rows(data),
            self.seed,
            self.epochs,
            most_epochs=self.most_epochs,
            callbacks=self.callbacks and WithoutValidation(self.callbacks),
            is_refit=True,
        )
        self.backend_ = backend.choose()
        (trained,) = retrain.train(
            replace(task, data=data.take([0])),  # a model may keep its task, but no rows
            data,
            [fit],
            engine=self.engine,
            backend=self.backend_,
            trains_itself=self.train is not None,
        )
        self.versions_ = _find_versions(self.backend_)
        self.history_ = {"loss": list(trained.curve.train_loss)}
        self.n_weights_ = trained.curve.n_weights
        if rows.targets.classes is not None:
            self.classes_ = rows.targets.classes
        self._rows = rows.x.shape
        self.network_ = Network(
            trained.model,
            trained.transformer,
            trained.targets,
            rows.code,
            rows.targets.classes,
            rows.y.shape[1:],
        )
        return self

    def predict(self, X: Any) -> Array:
        """Labels as in the y of `fit`, or values, in the shape of that y."""
        x = self._read(X)
        return self.network_.predict(x)

    @property
    def model_(self) -> Any:
        """The Keras model, compiled as `build` compiled it; it takes prepared rows."""
        return self.network_.model

    @property
    def preprocess_(self) -> Any:
        """The fitted transformer; None without `preprocess`."""
        return self.network_.transformer

    def to_scikeras(self) -> Any:
        """The trained network as a SciKeras `KerasClassifier` or `KerasRegressor`.

        It predicts the same; fitting a clone of it trains a new network as SciKeras trains, with
        another order of rows. The first call imports SciKeras, which imports TensorFlow where that
        is installed, on any backend.

        Raises ValueError where SciKeras cannot have the network.
        """
        check_is_fitted(self, "network_")
        if self.train is not None:
            raise ValueError(
                "SciKeras trains Keras models, and this is trained by train=; use best_estimator_ "
                "itself, a clone of which trains it again"
            )
        if self.preprocess_y is not None:
            raise ValueError(
                "SciKeras predicts what the network learns, which preprocess_y= changed; use "
                "best_estimator_ itself, or wrap the SciKeras estimator of a search without it in "
                "scikit-learn's TransformedTargetRegressor"
            )
        code = self.network_.code
        if code is not None and not code.holds_only_numbers:
            raise ValueError(
                "SciKeras takes arrays of numbers, and this was fitted on text or categories; use "
                "best_estimator_ itself, or encode X before the search"
            )
        if self.callbacks is not None:
            warnings.warn(
                "a clone of the SciKeras estimator trains without callbacks=, which makes new ones "
                "for each fit; give it its own by set_params(callbacks=[...])",
                stacklevel=2,
            )
        # After the checks, because these import Keras and TensorFlow.
        from hpsearch.sklearn_api.scikeras_estimator import make_scikeras_estimator

        spec, y = self._describe_network()
        preprocess = self.preprocess
        if is_searched(preprocess):
            preprocess = make_transformer(preprocess, self.params or {})
        return make_scikeras_estimator(
            self.model_,
            spec,
            build=self.build,
            params=self.params or {},
            epochs=self.epochs,
            seed=self.seed,
            preprocess=preprocess,
            fitted=self.network_.transformer,
            code=code,
            class_weight=self.class_weight,
            row_shape=self._rows[1:],
            y=y,
            classifies=self._classifies,
        )

    def _describe_network(self) -> tuple[ModelSpec, Array]:
        """What `build` was told, and a target of each class in the user's form."""
        from hpsearch.training.metrics import make_metrics

        if self._classifies:
            y = self.classes_
        else:
            y = np.zeros((2, *self.network_.shape))
        targets = encode_targets(y, self.loss, classifies=self._classifies)
        rows = TrainingRows(np.zeros((len(y), 1)), None, y, targets)
        task, _ = rows.make_task(type(self).__name__, None, self.class_weight, None)
        spec = ModelSpec(
            input_shape=tuple(self.model_.input_shape[1:]),
            dtype=str(self.model_.inputs[0].dtype),
            outputs=int(self.model_.output_shape[-1]),
            activation=task.activation,
            loss=task.loss,
            metrics=make_metrics(task, to_save=True),
            rows=self._rows[0],
            batch_size=batch_size(self.params or {}),
            epochs=self.most_epochs or self.epochs,
            preprocessing=choose_params(self.preprocess, self.params or {})
            if is_searched(self.preprocess)
            else {},
        )
        return spec, y

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """What was trained, once it is."""
        if "network_" not in vars(self):
            return str(super().__repr__(N_CHAR_MAX))
        facts = {
            "params": self.params,
            "epochs": self.epochs,
            "preprocess": self.preprocess,
            "preprocess_y": self.preprocess_y,
            "seed": self.seed,
            "backend": self.backend_,
            "keras": self.versions_["keras"],
            "n_weights": self.n_weights_,
        }
        shown = ", ".join(f"{name}={value!r}" for name, value in facts.items() if value is not None)
        return f"{type(self).__name__}({' '.join(shown.split())})"

    def __sklearn_tags__(self) -> Any:
        return set_tags(super().__sklearn_tags__(), self._classifies, self.preprocess)

    def _read(self, X: Any) -> Any:
        check_is_fitted(self, "network_")
        return read_rows(self, X, preprocess=self.preprocess, code=self.network_.code)


class TrainedClassifier(ClassifierMixin, _TrainedEstimator):  # type: ignore[misc]
    """A point of a space as a classifier; `fit` trains it anew, the same for the same rows.

    Args:
        build, train, params: the model, or the training function, and the point. One of the two.
        epochs: how many it is trained.
        loss, preprocess, preprocess_y, class_weight, engine: as `KerasSearchCV` takes them.
        callbacks: likewise; those that watch validation are left out, because there is none.
        seed: of weights and the order of rows.
        most_epochs: of the search, which `build` and callbacks are told.

    After `fit` there are model_ (of Keras), preprocess_ (fitted), history_, n_weights_, backend_,
    versions_, classes_ and n_features_in_.
    """

    _classifies = True

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (rows, classes), in the order of `classes_`."""
        x = self._read(X)
        return self.network_.predict_proba(x)


class TrainedRegressor(RegressorMixin, _TrainedEstimator):  # type: ignore[misc]
    """A point of a space as a regressor, as `TrainedClassifier` has it."""

    _classifies = False


def set_tags(tags: Any, classifies: bool, preprocess: Any) -> Any:
    """What scikit-learn wants to know of an estimator here."""
    tags.estimator_type = "classifier" if classifies else "regressor"
    tags.target_tags.required = True
    tags.target_tags.multi_output = not classifies
    tags.input_tags.three_d_array = True
    tags.input_tags.allow_nan = preprocess is not None
    tags.input_tags.string = preprocess is not None
    if classifies:
        tags.classifier_tags = ClassifierTags()
    else:
        tags.regressor_tags = RegressorTags()
    return tags


def _find_versions(backend_name: str) -> dict[str, str]:
    """The versions of what trained it, by name."""
    names = ("hpsearch", "keras", backend_name, "numpy", "scikit-learn")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
