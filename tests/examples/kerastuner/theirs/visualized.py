import keras
import keras_tuner

from tests.examples.rows import x, y


def build(hp):
    layers = [keras.layers.Dense(hp.Int("units", 32, 128, step=32), "relu")]
    if hp.Boolean("dropout"):
        layers.append(keras.layers.Dropout(0.5))
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


tuner = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=3)
logs = keras.callbacks.TensorBoard("logs")
tuner.search(x, y, epochs=2, validation_split=0.2, callbacks=[logs])
best = tuner.get_best_hyperparameters()[0].values
