from hpsearch import Data, Float, Random, Space, Study, Task


def train(run, place):
    for _ in run.epochs():
        run.report(loss=place * place + 1)


task = Task("parabola", Data([[0.0]] * 10, [0.0] * 10), "mse")
space = Space(place=Float(-1.0, 1.0))
study = Study(task=task, space=space, train=train, searcher=Random(20, epochs=1))
best = study.run().best.params
