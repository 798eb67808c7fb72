"""Search spaces: named ranges, with conditions, sampling, grids and the unit cube."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hpsearch.core import html_repr
from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.parameters import Choice, Float, Int, Value, range_text, typed_key
from hpsearch.core.rules import brief, to_builtin, why_no_name
from hpsearch.core.seeds import canonical_json

Params = Mapping[str, Value]

_MOST_CONDITIONS = 10_000  # values under which one parameter exists
_MOST_REPEATED = 1_000  # parameters of one `Space.repeated`


class Space(Mapping[str, "Float | Int | Choice"]):
    """Named parameters. Some may exist only under a condition on others.

    They are given by name, as mappings (pieces of spaces), or both: `Space(mlp.widths(3), l2=...)`.

    >>> space = Space(optimizer=Choice("adam", "sgd"),
    ...               momentum=Float(0.0, 0.9, when={"optimizer": "sgd"}))
    >>> space.from_unit([0.0, 0.5])
    {'optimizer': 'adam'}
    >>> space.from_unit([1.0, 0.5])
    {'optimizer': 'sgd', 'momentum': 0.45}
    """

    def __init__(
        self,
        /,
        *pieces: Mapping[str, Float | Int | Choice],
        **more: Float | Int | Choice,
    ) -> None:
        self._parameters: dict[str, Float | Int | Choice] = {}
        for piece in (*pieces, more):
            if not isinstance(piece, Mapping):
                raise SpaceError(
                    f"a space is made of named ranges, and of dicts of these, got {brief(piece)}"
                )
            if twice := [name for name in piece if name in self._parameters]:
                raise SpaceError(f"{twice[0]} is given twice; keep one of the two")
            self._parameters.update(piece)
        for name, parameter in self._parameters.items():
            if why := why_no_name(name):
                raise SpaceError(f"a parameter needs {why} for a name, got {brief(name)}")
            if not isinstance(parameter, Float | Int | Choice):
                raise SpaceError(
                    f"{name}: a space holds Float, Int and Choice, got {brief(parameter)}; "
                    f"a constant is Choice({brief(parameter)})"
                )
        self._when = {name: self._conditions(name) for name in self._parameters}
        self.parents_first = self._parents_first()

    @staticmethod
    def repeated(
        name: str,
        parameter: Float | Int | Choice,
        most: int,
        *,
        count: str = "layers",
        when: Mapping[str, Any] | None = None,
    ) -> "dict[str, Float | Int | Choice]":
        """A piece of a space: 1 to `most` parameters alike, `name_1` to `name_<most>`.

        Args:
            name: what their names begin with.
            parameter: the range of each, without a condition.
            most: how many there are at most.
            count: the parameter that says how many there are; each exists only where it is among
                them.
            when: the condition under which `count` exists, and with it all others.

        >>> space = Space(Space.repeated("units", Int(8, 64), 3))
        >>> space.from_unit([0.5, 0.0, 1.0, 0.5])
        {'layers': 2, 'units_1': 8, 'units_2': 64}
        """
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_REPEATED:
            raise SpaceError(
                f"Space.repeated needs a whole number from 1 to {_MOST_REPEATED:,}, "
                f"got most={brief(most)}"
            )
        if not isinstance(parameter, Float | Int | Choice) or parameter.when is not None:
            raise SpaceError(
                "Space.repeated repeats a Float, Int or Choice without when=, which it gives "
                f"itself, got {brief(parameter)}; its own when= is for all of them"
            )
        each = {
            f"{name}_{i}": _with_condition(parameter, {count: range(i, most + 1)})
            for i in range(1, most + 1)
        }
        return {count: Int(1, most, when=when), **each}

    def __getitem__(self, name: str) -> Float | Int | Choice:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{n}={range_text(p)}' for n, p in self.items())})"

    def _repr_html_(self) -> str:
        rows = [
            (name, range_text(parameter, condition=False), self._condition_text(name))
            for name, parameter in self.items()
        ]
        return html_repr.table(("parameter", "range", "exists only when"), rows)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A random point. It always draws one number for each parameter, whatever exists."""
        return self.from_unit(rng.random(len(self)))

    def from_unit(self, u: "Sequence[float] | np.ndarray[Any, Any]") -> dict[str, Value]:
        """The point at u, of shape (len(space),) in [0, 1], in the order of the space's names."""
        try:
            values = np.asarray(u, dtype=float)
        except (TypeError, ValueError, OverflowError):
            values = np.zeros(())
        if values.shape != (len(self),) or not np.all((values >= 0) & (values <= 1)):
            raise SpaceError(f"a unit point here is {len(self)} numbers in [0, 1], got {brief(u)}")
        at = dict(zip(self, values.tolist(), strict=True))
        point: dict[str, Value] = {}
        for name in self.parents_first:
            if self.active(name, point):
                point[name] = self[name].decode(at[name])
        return {name: point[name] for name in self if name in point}

    def to_unit(self, params: Params) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The unit point of params, shape (len(space),); 0.5 where a parameter does not exist."""
        self.check(params)
        return np.array(
            [self[name].encode(params[name]) if name in params else 0.5 for name in self]
        )

    def active(self, name: str, params: Params) -> bool:
        """Whether a parameter exists, given the values of those that it depends on."""
        return all(
            parent in params and typed_key(params[parent]) in {typed_key(v) for v in allowed}
            for parent, allowed in self._when[name].items()
        )

    def conditions(self, name: str) -> Mapping[str, tuple[Value, ...]]:
        """The values of other parameters with which this one exists; empty where it always does."""
        return self._when[name]

    def check(self, params: Params) -> None:
        """Raise SpaceError for a point that is not in this space."""
        if not isinstance(params, Mapping):
            raise SpaceError(f"a point is a dict of values by name, got {brief(params)}")
        for name in params:
            if name not in self:
                raise SpaceError(
                    f"unknown parameter {brief(name)}{did_you_mean(str(name), self)}; "
                    f"the space has {', '.join(self) or 'none'}"
                )
        for name, parameter in self.items():
            if not self.active(name, params):
                if name in params:
                    raise SpaceError(
                        f"{name}={params[name]!r} has no effect: it exists only when "
                        f"{self._condition_text(name)}; leave it out"
                    )
            elif name not in params:
                raise SpaceError(f"{name} is missing; it is {range_text(parameter)}")
            elif not parameter.contains(params[name]):
                raise SpaceError(f"{name}={brief(params[name])} is not in {range_text(parameter)}")

    def nearest_point(self, values: Mapping[str, Any]) -> dict[str, Value]:
        """The point of this space that is nearest to some values.

        Numbers are moved into their ranges. What has no value here, or none of the options, gets
        the middle of its range; names that the space has not are left out.

        >>> space = Space(units=Int(8, 32), optimizer=Choice("sgd", "adam"), l2=Float(0.0, 1.0))
        >>> space.nearest_point({"units": 64, "optimizer": "sgd", "blocks": 3})
        {'units': 32, 'optimizer': 'sgd', 'l2': 0.5}
        """
        point: dict[str, Value] = {}
        for name in self.parents_first:
            if self.active(name, point):
                found = self[name].nearest(values[name]) if name in values else None
                point[name] = self[name].decode(0.5) if found is None else found
        return {name: point[name] for name in self if name in point}

    def grid(self, points: int | None = None) -> Iterator[dict[str, Value]]:
        """Every combination of the parameters' grid values, without those that do not exist."""
        if points is not None and (not isinstance(points, int) or points < 1 or points is True):
            raise SpaceError(f"a grid needs a whole number of points >= 1, got {brief(points)}")
        return self._grid({}, list(self.parents_first), points)

    def probes(self) -> list[dict[str, Value]]:
        """A few points in which every parameter and every option occurs at least once."""
        wanted: set[tuple[str, Any]] = {(name, None) for name in self}
        for name, parameter in self.items():
            if isinstance(parameter, Choice):
                wanted |= {(name, typed_key(option)) for option in parameter.options}
        rng, points = np.random.default_rng(0), [self.from_unit([0.5] * len(self))]
        for _ in range(200):
            for name, value in points[-1].items():
                wanted -= {(name, typed_key(value)), (name, None)}
            if not wanted:
                break
            found = self.sample(rng)
            if any((n, typed_key(v)) in wanted or (n, None) in wanted for n, v in found.items()):
                points.append(found)
        return points

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The space as plain JSON; equal for equal spaces only."""
        return {
            name: {
                "type": type(parameter).__name__.lower(),
                **(
                    {"options": list(parameter.options)}
                    if isinstance(parameter, Choice)
                    else {k: getattr(parameter, k) for k in ("low", "high", "log", "step")}
                ),
                "when": {k: list(v) for k, v in self._when[name].items()} or None,
            }
            for name, parameter in self.items()
        }

    @classmethod
    def from_json(cls, text: Mapping[str, Mapping[str, Any]]) -> "Space":
        """The inverse of `to_json`. Raises SpaceError for anything that it did not write."""
        kinds = {"choice": Choice, "float": Float, "int": Int}
        parameters: dict[str, Any] = {}
        try:
            for name, fields in text.items():
                values = dict(fields)
                kind = kinds[values.pop("type")]
                parameters[name] = kind(*values.pop("options", ()), **values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, SpaceError):
                raise
            raise SpaceError(f"this does not describe a space: {brief(text)}") from error
        return cls(parameters)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, different for different spaces."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()[:16]

    def changes_since(self, older: "Space") -> list[str]:
        """The differences from an older space, a line for each parameter."""
        new, old = self.to_json(), older.to_json()
        lines = [f"{n} is gone" for n in old if n not in new]
        lines += [f"{n} is new" for n in new if n not in old]
        return lines + [
            f"{n} was {range_text(older[n])}, now {range_text(self[n])}"
            for n in new
            if n in old and canonical_json(new[n]) != canonical_json(old[n])
        ]

    def _conditions(self, name: str) -> dict[str, tuple[Value, ...]]:
        found: dict[str, tuple[Value, ...]] = {}
        for parent, allowed in (self[name].when or {}).items():
            if parent not in self or parent == name:
                raise SpaceError(
                    f"{name} depends on {parent!r}, which is no other parameter of the space"
                    f"{did_you_mean(parent, self)}"
                )
            single = isinstance(allowed, str) or not isinstance(
                allowed, tuple | list | set | frozenset | range
            )
            if not single and len(allowed) > _MOST_CONDITIONS:
                raise SpaceError(
                    f"{name} exists when {parent} is one of {len(allowed):,} values; name at most "
                    f"{_MOST_CONDITIONS:,}"
                )
            values = (to_builtin(allowed),) if single else tuple(map(to_builtin, allowed))
            if isinstance(self[parent], Float):
                raise SpaceError(f"{name} depends on {parent}, a Float; make {parent} a Choice")
            strange = [value for value in values if not self[parent].contains(value)]
            if strange or not values:
                raise SpaceError(
                    f"{name} exists when {parent} is {brief(allowed)}, but {parent} is "
                    f"{range_text(self[parent])}; drop what cannot occur"
                )
            found[parent] = values
        return found

    def _parents_first(self) -> list[str]:
        order: list[str] = []
        while len(order) < len(self):
            ready = [n for n in self if n not in order and all(p in order for p in self._when[n])]
            if not ready:
                circle = ", ".join(n for n in self if n not in order)
                raise SpaceError(f"the conditions of {circle} form a cycle; remove one of them")
            order.extend(ready)
        return order

    def _grid(
        self, point: dict[str, Value], names: list[str], points: int | None
    ) -> Iterator[dict[str, Value]]:
        if not names:
            yield {name: point[name] for name in self if name in point}
            return
        name, rest = names[0], names[1:]
        if not self.active(name, point):
            yield from self._grid(point, rest, points)
            return
        for value in self[name].grid(points):
            yield from self._grid({**point, name: value}, rest, points)

    def _condition_text(self, name: str) -> str:
        return " and ".join(
            f"{parent} is {' or '.join(repr(v) for v in allowed)}"
            for parent, allowed in self._when[name].items()
        )


def _with_condition(parameter: Float | Int | Choice, when: Mapping[str, Any]) -> Any:
    if isinstance(parameter, Choice):  # whose options come one by one
        return Choice(*parameter.options, when=when)
    return replace(parameter, when=when)
