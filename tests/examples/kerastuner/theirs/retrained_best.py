import keras
import keras_tuner

from tests.examples.rows import x, y


def build(hp):
    units = hp.Int("units", 32, 512, step=32)
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


tuner = keras_tuner.BayesianOptimization(
    build, "val_accuracy", max_trials=2, executions_per_trial=2
)
tuner.search(x, y, epochs=3, validation_split=0.2)
best = tuner.get_best_hyperparameters()[0]
model = build(best)
model.fit(x, y, epochs=3)
model.save("best.keras")
predictions = model.predict(x)
