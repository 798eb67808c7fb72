import keras
import keras_tuner
import numpy as np

from tests.examples.rows import x, y


class Model(keras_tuner.HyperModel):
    def build(self, hp):
        units = hp.Int("units", 32, 128, step=32)
        model = keras.Sequential([keras.layers.Dense(units, "relu"), keras.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        model.fit(x, y, **kwargs)
        errors = np.abs(model.predict(validation_data[0])[:, 0] - validation_data[1])
        return {"mae": errors.mean(), "largest": errors.max()}


objective = keras_tuner.Objective("largest", "min")
tuner = keras_tuner.RandomSearch(Model(), objective, max_trials=3)
tuner.search(x[:320], y[:320], epochs=2, validation_data=(x[320:], y[320:]))
tuner.results_summary()
best = tuner.get_best_hyperparameters()[0].values
