import keras

from hpsearch import Choice, Data, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def train(run, units, normalize):
    layers = [keras.Input((64,)), keras.layers.Dense(units, "relu")]
    if normalize:
        layers.insert(1, keras.layers.Normalization())
        layers[1].adapt(run.train[0])
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", run.spec.loss)
    model = run.restore(model)
    for _ in run.epochs():
        model.fit(*run.train)
        run.report(**run.measure(model.predict))
        run.save(model)
    return model.predict


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units=Int(32, 512, step=32), normalize=Choice(True, False))
study = Study(task=task, space=space, train=train, searcher=Random(3, epochs=2))
best = study.run().best.params
