import keras
import keras_tuner

from tests.examples.rows import x, y


class Model(keras_tuner.HyperModel):
    def build(self, hp):
        units = hp.Int("units", 32, 512, step=32)
        layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(10, "softmax")]
        model = keras.Sequential(layers)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        if hp.Boolean("normalize"):
            normalization = keras.layers.Normalization()
            normalization.adapt(x)
            x, x_val = normalization(x), normalization(validation_data[0])
            validation_data = (x_val, validation_data[1])
        return model.fit(x, y, validation_data=validation_data, **kwargs)


tuner = keras_tuner.RandomSearch(Model(), "val_accuracy", max_trials=3)
tuner.search(x[:320], y[:320], epochs=2, validation_data=(x[320:], y[320:]))
best = tuner.get_best_hyperparameters()[0].values
