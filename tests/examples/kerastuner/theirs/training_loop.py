import keras
import keras_tuner
import numpy as np

from tests.examples.rows import x, y


class Model(keras_tuner.HyperModel):
    def build(self, hp):
        units = hp.Int("units", 32, 128, step=32)
        layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(10, "softmax")]
        model = keras.Sequential(layers)
        rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        return model

    def fit(self, hp, model, x, y, validation_data, epochs, callbacks, **kwargs):
        batches = len(x) // hp.Int("batch_size", 32, 128, step=32)
        for callback in callbacks:
            callback.set_model(model)
        best = 0.0
        for epoch in range(epochs):
            for rows in np.array_split(np.random.permutation(len(x)), batches):
                model.train_on_batch(x[rows], y[rows])
            predicted = model.predict(validation_data[0], verbose=0).argmax(axis=1)
            accuracy = (predicted == validation_data[1]).mean()
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"accuracy": accuracy})
            best = max(best, accuracy)
        return {"accuracy": best}


objective = keras_tuner.Objective("accuracy", "max")
tuner = keras_tuner.BayesianOptimization(Model(), objective, max_trials=3)
tuner.search(x[:320], y[:320], epochs=2, validation_data=(x[320:], y[320:]))
best = tuner.get_best_hyperparameters()[0].values
model = tuner.get_best_models()[0]
