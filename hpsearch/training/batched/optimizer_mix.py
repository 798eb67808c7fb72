"""Several optimizers in one program: each member's own is computed with the others, and chosen.

For small networks that costs little beside a second program, which takes a second to compile. The
optimizers' slots share their places: an Adam's first moment lies where RMSprop has its velocity.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hpsearch.training.overrides import is_of_keras
from hpsearch.training.schedules import find_schedule

Label = tuple[Any, ...]


def may_be_mixed(optimizer: Any) -> bool:
    """Whether an optimizer's update depends on its variables and scalars alone, as all may."""
    import keras

    return (
        is_of_keras(optimizer, keras.optimizers.Optimizer)
        and find_schedule(optimizer) is None
        and optimizer.gradient_accumulation_steps is None
        and optimizer.loss_scale_factor is None
        and not optimizer.use_ema
    )


def label_slots(optimizer: Any, weights: Sequence[Any], labels: Sequence[Label]) -> list[Label]:
    """A label for each of an optimizer's variables: of which weight it is, and the how manieth.

    Args:
        optimizer: built for the weights.
        weights: the trainable variables.
        labels: one for each of these.
    """
    prefixes = [weight.path.replace("/", "_") for weight in weights]
    counts = [itertools.count() for _ in weights]
    others = itertools.count()
    found: list[Label] = []
    for variable in optimizer.variables:
        fits = [i for i, prefix in enumerate(prefixes) if variable.name.startswith(f"{prefix}_")]
        if fits:  # Keras names a slot after its weight: dense_kernel_momentum
            index = max(fits, key=lambda i: len(prefixes[i]))
            found.append((*labels[index], "slot", next(counts[index])))
        else:
            # By its place among the others: Keras numbers some names through the process.
            found.append(("optimizer", next(others)))
    return found


class OptimizerMix:
    """One or several optimizers of the same weights.

    Args:
        optimizers: by a description of each; all are built for the weights.
        weights: the trainable variables.
        labels: one for each of these.

    Attributes:
        variables: of all optimizers; those with the same label have one place.
        labels: of these variables.
    """

    def __init__(
        self, optimizers: dict[str, Any], weights: Sequence[Any], labels: Sequence[Label]
    ) -> None:
        self._optimizers = optimizers
        by_label: dict[Label, Any] = {}
        self._places: list[list[int]] = []
        for optimizer in optimizers.values():
            own = label_slots(optimizer, weights, labels)
            for label, variable in zip(own, optimizer.variables, strict=True):
                by_label.setdefault(label, variable)
            self._places.append([list(by_label).index(label) for label in own])
        self.labels, self.variables = list(by_label), list(by_label.values())

    @property
    def numbers(self) -> dict[int, int]:
        """The number of each optimizer, by its id."""
        return {id(each): number for number, each in enumerate(self._optimizers.values())}

    def index(self, description: str) -> int:
        """The number of the optimizer with this description."""
        return list(self._optimizers).index(description)

    def of_first(self, slots: Sequence[Any]) -> list[Any]:
        """The values of the first optimizer's variables, among those of all."""
        return [slots[place] for place in self._places[0]]

    def apply(
        self, kind: Any, slots: Sequence[Any], gradients: list[Any], weights: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """The weights and slots after a step of the optimizer with the number `kind`."""
        new_weights, new_slots = list(weights), list(slots)
        for number, (optimizer, places) in enumerate(
            zip(self._optimizers.values(), self._places, strict=True)
        ):
            own = [slots[place] for place in places]
            found, own = optimizer.stateless_apply(own, gradients, weights)
            if len(self._optimizers) > 1:
                is_own = kind == number
                found = [_choose(is_own, a, b) for a, b in zip(found, new_weights, strict=True)]
                own = [_choose(is_own, a, new_slots[b]) for a, b in zip(own, places, strict=True)]
            new_weights = list(found)
            for place, value in zip(places, own, strict=True):
                new_slots[place] = value
        return new_weights, new_slots


def _choose(condition: Any, value: Any, otherwise: Any) -> Any:
    return jax.lax.select(jnp.broadcast_to(condition, value.shape), value, otherwise)
