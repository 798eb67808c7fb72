"""A convolutional adversarial network (Radford, Metz and Chintala, ICLR 2016) that draws digits.

After Bernico, Deep Learning Quick Reference, chapter 13. What it draws is scored by its Fréchet
distance to digits that it has not seen (Heusel et al., NeurIPS 2017): that of two normal
distributions of features, here those of a small classifier of digits instead of Inception's. It
is large where drawn digits look wrong, and also where they all look alike. A row's target are its
own pixels, and what is predicted for some rows is as many drawn images, whatever these rows are.

Other real digits are at 3.3, means of two digits at 17, images whose pixels are drawn each by itself
from those of real ones at 81, one digit again and again at 300.
"""

import functools

import numpy as np

from hpsearch import Choice, Data, Float, Holdout, Hyperband, Space, Study, Task
from hpsearch.tasks import mnist
from hpsearch.training import make_training_step

DIGITS = mnist.images()
ROWS, TEST, BATCH, STEPS = 6000, 1000, 32, 100  # steps of an epoch, which draws its rows at random


def load_images():
    data = DIGITS.load()
    x, x_test = np.asarray(data.x[:ROWS]), np.asarray(data.x_test[:TEST])
    return Data(x, x.reshape(len(x), -1), x_test, x_test.reshape(len(x_test), -1))


@functools.cache
def train_classifier():
    """A classifier of the digits that are searched on, the same in each process."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    data = DIGITS.load()
    classifier = MLPClassifier((64, 32), random_state=0)
    with threadpool_limits(1):  # so that sums do not depend on the number of cores
        for _ in range(20):
            x = np.asarray(data.x[:ROWS])
            classifier.partial_fit(x.reshape(len(x), -1), data.y[:ROWS], classes=range(10))
    return classifier


def find_features(pixels):
    """What the classifier's second hidden layer says of images, shape (rows, 32)."""
    classifier = train_classifier()
    for weights, bias in list(zip(classifier.coefs_, classifier.intercepts_, strict=True))[:2]:
        pixels = np.maximum(pixels @ weights + bias, 0)
    return pixels


def frechet_distance(real, drawn):
    """|m - n|^2 + tr(C + D - 2 (C D)^(1/2)) for features' means m, n and covariances C, D."""
    one, other = find_features(real), find_features(drawn)
    c, d = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    # The roots of the eigenvalues of CD, which are those of the symmetric matrix C^(1/2) D C^(1/2).
    values, vectors = np.linalg.eigh(c)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ d @ root), 0)).sum()
    apart = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
    return float(apart + np.trace(c) + np.trace(d) - 2 * shared)


def make_generator(side, noise, width):
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((noise,)),
            layers.Dense(2 * width * (side // 4) ** 2, "relu"),
            layers.Reshape((side // 4, side // 4, 2 * width)),
            layers.BatchNormalization(momentum=0.8),
            layers.UpSampling2D(),
            layers.Conv2D(2 * width, 3, padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.UpSampling2D(),
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.8),
            layers.Conv2D(1, 3, padding="same", activation="tanh"),
        ]
    )


def make_critic(side, width, dropout):
    """Images in -1..1 -> how real they look: a logit each."""
    from keras import Input, Sequential, layers

    model = Sequential([Input((side, side, 1))])
    for number, (factor, stride) in enumerate([(0.5, 2), (1, 2), (2, 2), (4, 1)]):
        model.add(layers.Conv2D(int(factor * width), 3, stride, padding="same"))
        model.add(layers.LeakyReLU(0.2))
        model.add(layers.Dropout(dropout))
        if 0 < number < 3:
            model.add(layers.BatchNormalization(momentum=0.8))
    model.add(layers.Flatten())
    model.add(layers.Dense(1))
    return model


def train(run, width, noise, dropout, learning_rate, momentum):
    import keras
    from keras.ops import mean, softplus

    side = run.spec.input_shape[0]
    generator, critic = make_generator(side, noise, width), make_critic(side, width, dropout)

    def judge(images):
        return critic(images, training=True)

    def draw(seeds):
        return generator(seeds, training=True)

    def critic_loss(images, seeds):
        return mean(softplus(-judge(images)) + softplus(judge(draw(seeds))))

    def generator_loss(seeds):
        return mean(softplus(-judge(draw(seeds))))

    optimizers = [keras.optimizers.Adam(learning_rate, beta_1=momentum) for _ in range(2)]
    teach_critic = make_training_step(critic_loss, optimizers[0], critic)
    teach_generator = make_training_step(generator_loss, optimizers[1], generator)

    def predict(rows):
        seeds = np.random.default_rng(run.seed).normal(size=(len(rows), noise))
        return (1 + generator.predict(seeds, batch_size=250, verbose=0).reshape(len(rows), -1)) / 2

    state = {"generator": generator, "critic": critic, "optimizers": optimizers}
    run.restore(state)
    images = 2 * np.asarray(run.train[0]) - 1
    for _ in run.epochs():
        for _ in range(STEPS):
            rows = np.random.randint(len(images), size=BATCH)
            teach_critic(images[rows], np.random.normal(size=(BATCH, noise)))
            teach_generator(np.random.normal(size=(BATCH, noise)))
        if not run.is_refit:  # which trains on all rows: a row is no distribution
            real, pixels = run.validation
            run.report(frechet_distance=frechet_distance(pixels, predict(real)))
        run.save(state)
    return predict


study = Study(
    task=Task(DIGITS.name.replace("images", "drawn"), load_images, "mse", frechet_distance, "min"),
    space=Space(
        width=Choice(8, 16),
        noise=Choice(16, 32, 100),
        dropout=Float(0.0, 0.5),
        learning_rate=Float(1e-4, 5e-3, log=True),
        momentum=Float(0.0, 0.9),
    ),
    train=train,
    baselines=(),  # a plain model of pixels draws nothing
    # The book's network, with a quarter of its filters, which two cores train in minutes.
    start=[dict(width=16, noise=100, dropout=0.25, learning_rate=2e-4, momentum=0.5)],
    searcher=Hyperband(max_epochs=9, eta=3),
    evaluator=Holdout(fraction=1 / 6, shuffle=False),
)
