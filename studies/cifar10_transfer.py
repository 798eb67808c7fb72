"""Cats or dogs? A new head on a network that has learned the eight other classes of CIFAR-10.

After Bernico, Deep Learning Quick Reference (2018), chapter 8: first the backbone is frozen and the
head alone is trained, then the backbone is trained on at a lower rate. He takes InceptionV3 of
ImageNet and large photographs of cats and dogs; here the backbone is trained first, on 2,000
pictures of each of the other classes, and 1,000 pictures of cats and of dogs are trained on, while
500 validate. It is trained once, in about three minutes on two cores, and kept in the file BACKBONE;
the search takes about six more. A GPU should get all pictures (`PER_CLASS = 5000`), `EPOCHS = 40`.
"""

from pathlib import Path

from hpsearch import Choice, Float, Holdout, Int, Random, Space, Study
from hpsearch.tasks import cifar10
from spaces import backbones, optimizers, transfer

PER_CLASS, EPOCHS = 2000, 6
OTHERS = tuple(name for name in cifar10.CLASSES if name not in ("cat", "dog"))
PICTURES = cifar10.task(classes=OTHERS, per_class=PER_CLASS)
BACKBONE = Path(".hpsearch", f"{PICTURES.name}-{EPOCHS}-epochs.keras")


def train_backbone():
    """Three blocks of convolutions, trained to tell the eight other classes."""
    import keras

    layers = keras.layers
    data = PICTURES.load()
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input(data.x.shape[1:])
    for block, filters in enumerate((32, 64, 128), 1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling2D(name=f"block_{block}")(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(len(OTHERS), "softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(data.x, data.y, batch_size=64, epochs=EPOCHS, verbose=0)
    return model


study = Study(
    task=cifar10.task(classes=("cat", "dog"), per_class=1500),
    space=Space(
        transfer.phases(8),
        units=Int(16, 1024, log=True),
        dropout=Float(0.0, 0.5),
        optimizer=Choice("rmsprop", "adam"),
        learning_rate=optimizers.LEARNING_RATE,
        batch_size=Choice(32, 64),
    ),
    build=transfer.model(backbones.from_file(BACKBONE, layer="block_3", make=train_backbone)),
    searcher=Random(trials=8, epochs=8),
    evaluator=Holdout(fraction=1 / 3),
)
