import keras
from keras import layers

from hpsearch import Choice, Data, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, kind, **sizes):
    model = keras.Sequential([layers.Reshape((8, 8, 1))])
    if kind == "mlp":
        model.add(layers.Flatten())
        for i in range(1, sizes["dense_layers"] + 1):
            model.add(layers.Dense(sizes[f"units_{i}"], "relu"))
    else:
        for i in range(1, sizes["conv_layers"] + 1):
            model.add(layers.Conv2D(sizes[f"filters_{i}"], 3, activation="relu", padding="same"))
        model.add(layers.Flatten())
    model.add(layers.Dense(10, "softmax"))
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


mlp = Space.repeated("units", Int(32, 128, step=32), 3, count="dense_layers", when={"kind": "mlp"})
cnn = Space.repeated("filters", Int(8, 32, step=8), 3, count="conv_layers", when={"kind": "cnn"})
task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(mlp, cnn, kind=Choice("mlp", "cnn"))
study = Study(task=task, space=space, build=build, searcher=Random(4, epochs=1))
best = study.run().best.params
