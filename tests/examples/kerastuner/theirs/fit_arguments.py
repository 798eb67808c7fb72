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

    def fit(self, hp, model, *args, **kwargs):
        batch_size, shuffle = hp.Choice("batch_size", [16, 32]), hp.Boolean("shuffle")
        return model.fit(*args, batch_size=batch_size, shuffle=shuffle, **kwargs)


tuner = keras_tuner.RandomSearch(Model(), "val_accuracy", max_trials=3)
tuner.search(x, y, epochs=2, validation_split=0.2)
best = tuner.get_best_hyperparameters()[0].values
