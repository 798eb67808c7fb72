import keras
import keras_tuner

from tests.examples.rows import x, y


def build(hp):
    units = hp.Int("units", 32, 512, step=32)
    model = keras.Sequential([keras.layers.Dense(units, hp.Choice("activation", ["relu", "tanh"]))])
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(10, "softmax"))
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


tuner = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=3)
tuner.search(x, y, epochs=2, validation_split=0.2)
tuner.results_summary()
best = tuner.get_best_hyperparameters()[0].values
model = tuner.get_best_models()[0]
