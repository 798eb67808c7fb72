import keras
import keras_tuner

from tests.examples.rows import x, y


def build(hp):
    layers = [keras.layers.Dense(hp.Int("units", 32, 128, step=32, default=64), "relu")]
    if hp.Boolean("dropout"):
        layers.append(keras.layers.Dropout(0.25))
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    optimizer = keras.optimizers.Adam(hp.Choice("rate", [1e-2, 1e-3, 1e-4]))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


few = keras_tuner.HyperParameters()
few.Float("rate", 1e-4, 1e-2, sampling="log")
tuner = keras_tuner.RandomSearch(
    build,
    "val_accuracy",
    max_trials=2,
    hyperparameters=few,
    tune_new_entries=False,
    project_name="few",
)
tuner.search(x, y, epochs=1, validation_split=0.2)
best = tuner.get_best_hyperparameters()[0].values

fixed = keras_tuner.HyperParameters()
fixed.Fixed("rate", 1e-3)
rest_tuner = keras_tuner.RandomSearch(
    build, "val_accuracy", max_trials=2, hyperparameters=fixed, project_name="rest"
)
rest_tuner.search(x, y, epochs=1, validation_split=0.2)
best_rest = rest_tuner.get_best_hyperparameters()[0].values
