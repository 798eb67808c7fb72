"""Choose whose structure a program has, and which members it trains.

A template is a model that lends its structure. Dense networks of one family may share a wide
template, where that saves more compiling than it costs in training.
"""

import hashlib
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hpsearch.training.batched import padding
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.padding import DenseChain, PaddedLayout
from hpsearch.training.batched.scalars import ModelScalars, describe_structure
from hpsearch.training.deferred import deferred_initialization

# These decide between a program for some members alone and a wider one that trains them more
# slowly. Guesses are enough: both programs are right.
_SECONDS_TO_COMPILE = 1.5
_PRODUCTS_PER_SECOND = 7e10

MAX_TEMPLATES = 48  # each holds a model, and a study may meet any number of structures

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class Template:
    """A model that lends its structure to programs.

    Args:
        key: equal for templates that are the same.
        model: the model.
        scalars: its numbers that programs take as data.
        wide: the model as a chain, where narrower networks fit in; else None.
        family: the family of these networks.
    """

    key: Hashable
    model: Any
    scalars: ModelScalars
    wide: DenseChain | None = None
    family: Hashable = None

    def set_layout(self, member: BatchMember) -> None:
        """Set how a member lies in this structure, where it is not its own."""
        if self.wide is not None:
            member.layout = PaddedLayout(
                member.model,
                _chain_of(member),
                member.scalars,
                self.model,
                self.wide,
                self.scalars,
            )

    def can_hold(self, width: int, depth: int) -> bool:
        return self.wide is not None and self.width >= width and self.depth >= depth

    @property
    def name(self) -> str:
        """Short, and another one for each template of this process."""
        return hashlib.sha256(repr(self.key).encode()).hexdigest()[:12]

    @property
    def width(self) -> int:
        return self.wide.width if self.wide else 0

    @property
    def depth(self) -> int:
        return self.wide.depth if self.wide else 0


class RecentDict(dict[Hashable, _Value]):
    """A dictionary of limited size: the entries set longest ago are dropped first.

    Args:
        max_entries: how many it holds, at most.
    """

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self.max_entries = max_entries

    def __setitem__(self, key: Hashable, value: _Value) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        while len(self) > self.max_entries:
            del self[next(iter(self))]


class TemplateRegistry:
    """The templates used last, so that later members find their program compiled.

    Args:
        max_templates: how many are remembered.
    """

    def __init__(self, max_templates: int = MAX_TEMPLATES) -> None:
        self._templates: RecentDict[Template] = RecentDict(max_templates)
        # Up to two structures of each family of chains: only whether there are several matters.
        self._structures: RecentDict[frozenset[Hashable]] = RecentDict(max_templates)

    def __len__(self) -> int:
        return len(self._templates)

    def assign_members(
        self, members: Iterable[BatchMember]
    ) -> list[tuple[Template, list[BatchMember]]]:
        """Group members by template and minibatch size."""
        # Members of one structure and minibatch size.
        alike: dict[Hashable, list[BatchMember]] = {}
        for member in members:
            structure = describe_structure(member.model, member.scalars, member.fit)
            alike.setdefault((structure, member.batch_size), []).append(member)

        # Families of these groups: chains that one wide network can hold.
        families: dict[Hashable, dict[Hashable, list[BatchMember]]] = {}
        for key, group in alike.items():
            first = group[0]
            family: Hashable = key
            if first.chain is not None:
                described = padding.describe_family(first.model, first.chain, first.scalars)
                family = described, first.batch_size
                known = self._structures.get(family, frozenset())
                self._structures[family] = known if len(known) > 1 else known | {key}
            families.setdefault(family, {})[key] = group

        # A family of several structures gets wide templates; others get one of their own.
        assigned = []
        for family, groups in families.items():
            if len(self._structures.get(family, ())) > 1:
                assigned += self._assign_chains(family, list(groups.values()))
            else:
                assigned += [
                    (self._own_template(key, group), group) for key, group in groups.items()
                ]

        for template, group in assigned:
            for member in group:
                template.set_layout(member)
        return assigned

    def _own_template(self, key: Hashable, group: Sequence[BatchMember]) -> Template:
        template = self._templates.get(key)
        if template is None:
            template = Template(key, group[0].model, group[0].scalars)
        return self._remember(template)

    def _remember(self, template: Template) -> Template:
        """Note a template as the one used last."""
        self._templates[template.key] = template
        return template

    def _assign_chains(
        self, family: Hashable, groups: list[list[BatchMember]]
    ) -> list[tuple[Template, list[BatchMember]]]:
        """Cut the groups by width so that compiling and training take least, as far as is known.

        By dynamic programming: the best cuts of the first n groups, for n = 0, 1, ...
        """
        groups.sort(key=_size_of_group)
        best: list[tuple[float, int]] = [(0.0, 0)]  # seconds of the first n, and their last cut
        for end in range(1, len(groups) + 1):
            costs = [
                (best[begin][0] + self._estimate_seconds(family, groups[begin:end]), begin)
                for begin in range(end)
            ]
            best.append(min(costs))

        # Follow the cuts back from the end.
        assigned, end = [], len(groups)
        while end:
            begin = best[end][1]
            together = [member for group in groups[begin:end] for member in group]
            assigned.append((self._wide_template(family, groups[begin:end]), together))
            end = begin
        return assigned[::-1]

    def _estimate_seconds(self, family: Hashable, groups: list[list[BatchMember]]) -> float:
        """Seconds to train these groups by one program, and to compile it where there is none."""
        template = self._find_wide(family, groups)
        width, depth = (template.width, template.depth) if template else _rounded_size(groups)
        products = sum(
            3.0 * member.rows * member.history.epochs_left * (depth - 1) * width**2
            + 3.0 * member.rows * member.history.epochs_left * width * _chain_of(member).end_units
            for group in groups
            for member in group
        )
        return products / _PRODUCTS_PER_SECOND + (0 if template else _SECONDS_TO_COMPILE)

    def _find_wide(self, family: Hashable, groups: list[list[BatchMember]]) -> Template | None:
        """The smallest known template that holds these groups."""
        width, depth = _rounded_size(groups)
        known = [
            template
            for template in self._templates.values()
            if template.can_hold(width, depth) and template.family == family
        ]
        return min(known, key=lambda t: (t.width, t.depth), default=None)

    def _wide_template(self, family: Hashable, groups: list[list[BatchMember]]) -> Template:
        """A template that holds these groups; built from the deepest, where none is known."""
        template = self._find_wide(family, groups)
        if template is None:
            width, _ = _rounded_size(groups)
            deepest = max((group[0] for group in groups), key=lambda m: _chain_of(m).depth)
            with deferred_initialization():
                model = padding.build_wide_model(deepest.model, _chain_of(deepest), width)
            wide = padding.parse_chain(model)
            assert wide is not None
            key = family, width, wide.depth
            template = Template(key, model, ModelScalars(model), wide, family)
        return self._remember(template)


def _chain_of(member: BatchMember) -> DenseChain:
    assert member.chain is not None
    return member.chain


def _size_of_group(group: Sequence[BatchMember]) -> tuple[int, int]:
    chain = _chain_of(group[0])
    return chain.width, chain.depth


def _rounded_size(groups: Iterable[Sequence[BatchMember]]) -> tuple[int, int]:
    """The largest width and depth; the width is rounded up, so that later members may fit in."""
    sizes = [_size_of_group(group) for group in groups]
    width, depth = max(w for w, _ in sizes), max(d for _, d in sizes)
    step = max(8, 1 << max(0, math.ceil(math.log2(width)) - 2))  # a quarter of the next power of 2
    return -(-width // step) * step, depth
