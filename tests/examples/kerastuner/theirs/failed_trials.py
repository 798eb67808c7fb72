import keras
import keras_tuner

from tests.examples.rows import x, y


def build(hp):
    units = [hp.Int("units_1", 10, 40, step=10), hp.Int("units_2", 10, 30, step=10)]
    model = keras.Sequential([keras.Input((64,)), *(keras.layers.Dense(each) for each in units)])
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    if model.count_params() > 2900:
        raise keras_tuner.errors.FailedTrialError(f"{model.count_params()} weights are too many")
    return model


tuner = keras_tuner.GridSearch(build, "val_accuracy", max_consecutive_failed_trials=8)
tuner.search(x, y, epochs=1, validation_split=0.2)
tuner.results_summary()
best = tuner.get_best_hyperparameters()[0].values
