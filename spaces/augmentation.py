"""Pictures that are changed anew in each epoch of training: flipped, turned, shifted, zoomed.

Space(augmentation.SPACE)                              whether, and how much
Space(flip=Choice(False, True), shift=Choice(0, 0.1))  some of it alone

Keras's layers do it inside the model, in training alone. Whether two trials train as one program on
JAX depends on these values, so let a few be tried (Choice) rather than any number (Float).
"""

from collections.abc import Mapping
from typing import Any

from hpsearch import Choice
from hpsearch.core.errors import BuildError
from spaces import checks

AMOUNTS = ("flip", "rotation", "shift", "zoom")
PARAMS = ("augmentation", *AMOUNTS)

_ONLY = {"augmentation": True}

SPACE = {
    "augmentation": Choice(False, True),
    "flip": Choice(False, True, when=_ONLY),
    "rotation": Choice(0, 10, 20, when=_ONLY),
    "shift": Choice(0.02, 0.1, when=_ONLY),
}

DEFAULT: dict[str, Any] = {
    "augmentation": True,
    "flip": True,
    "rotation": 10,
    "shift": 0.1,
    "zoom": 0.1,
}


def make_layers(params: Mapping[str, Any]) -> list[Any]:
    """New layers that change pictures of shape (height, width, channels) as the point says.

    Its parameters, with defaults in brackets:
    flip (False): whether half of the pictures are mirrored, left to right.
    rotation (0): turned by up to so many degrees either way, at most 180.
    shift (0): moved by up to this share of the height, and of the width, either way; below 1.
    zoom (0): made larger or smaller by up to this share; below 1.
    augmentation (True): whether any of these is done; what is then left out is refused.

    What comes into the picture from outside is as its edge. Raises BuildError for values out of
    these ranges, and for those without an effect.
    """
    from keras import layers

    given = {name: params[name] for name in AMOUNTS if name in params}
    if "augmentation" in params:
        _check_switch(checks.switch(params, "augmentation"), given)
    flip = checks.switch(params, "flip")
    degrees = checks.number(params, "rotation", most=180.0)
    shift = checks.number(params, "shift", below=1.0)
    zoom = checks.number(params, "zoom", below=1.0)
    edge = {"fill_mode": "nearest"}
    return [
        *([layers.RandomFlip("horizontal")] if flip else []),
        *([layers.RandomRotation(degrees / 360, **edge)] if degrees else []),
        *([layers.RandomTranslation(shift, shift, **edge)] if shift else []),
        *([layers.RandomZoom(zoom, **edge)] if zoom else []),
    ]


def _check_switch(is_on: bool, given: Mapping[str, Any]) -> None:
    if is_on and not given:
        raise BuildError(
            f"augmentation=True has no effect without {', '.join(AMOUNTS)}; put one of them into "
            "the space, or leave augmentation out"
        )
    if not is_on and given:
        (name, value), *_ = given.items()
        raise BuildError(
            f"{name}={value} has no effect with augmentation=False; let it exist only where it "
            "does: when={'augmentation': True}"
        )
