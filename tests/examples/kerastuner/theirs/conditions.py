import keras
import keras_tuner
from keras import layers

from tests.examples.rows import x, y


def build(hp):
    model = keras.Sequential([layers.Reshape((8, 8, 1))])
    if hp.Choice("kind", ["mlp", "cnn"]) == "mlp":
        with hp.conditional_scope("kind", ["mlp"]):
            model.add(layers.Flatten())
            for i in range(hp.Int("dense_layers", 1, 3)):
                model.add(layers.Dense(hp.Int(f"units_{i}", 32, 128, step=32), "relu"))
    else:
        with hp.conditional_scope("kind", ["cnn"]):
            for i in range(hp.Int("conv_layers", 1, 3)):
                filters = hp.Int(f"filters_{i}", 8, 32, step=8)
                model.add(layers.Conv2D(filters, 3, activation="relu", padding="same"))
            model.add(layers.Flatten())
    model.add(layers.Dense(10, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


tuner = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=4)
tuner.search(x, y, epochs=1, validation_split=0.2)
best = tuner.get_best_hyperparameters()[0].values
