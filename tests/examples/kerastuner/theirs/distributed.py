import keras
import keras_tuner

from tests.examples.rows import x, y


def build(hp):
    units, dropout = hp.Int("units", 32, 128, step=32), hp.Float("dropout", 0.0, 0.5)
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dropout(dropout)]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    optimizer = hp.Choice("optimizer", ["adam", "sgd"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# Started three times: in the environment KERASTUNER_TUNER_ID is chief, worker0 or worker1, and
# KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT say where the chief is.
tuner = keras_tuner.Hyperband(build, "val_accuracy", max_epochs=4, factor=2)
patience = keras.callbacks.EarlyStopping("val_accuracy", patience=2)
tuner.search(x, y, validation_split=0.2, callbacks=[patience])
best = tuner.get_best_hyperparameters()[0].values
