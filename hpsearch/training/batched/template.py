"""Whose structure a program has, and which members it serves: of this one, or of narrower ones."""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hpsearch.training.batched import padding
from hpsearch.training.batched.member import Member
from hpsearch.training.batched.padding import Chain
from hpsearch.training.batched.placing import Narrow
from hpsearch.training.batched.scalars import Numbers, structure
from hpsearch.training.deferred import deferred_initialization

# What decides between a program of their own for some members and a wider one that is slower: a
# guess is enough, because both are right.
_SECONDS_TO_COMPILE = 1.5
_PRODUCTS_A_SECOND = 7e10

MOST_TEMPLATES = 48  # each holds a model, and a study may meet any number of structures

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class Template:
    """A model that lends its structure to programs.

    wide: the model as a chain, where narrower ones fit in; family: of which chains, then.
    """

    key: Hashable
    model: Any
    numbers: Numbers
    wide: Chain | None = None
    family: Hashable = None

    def place(self, member: Member) -> None:
        """Tell a member how it lies in this structure, where it is not its own."""
        if self.wide is not None:
            member.placing = Narrow(
                member.model, _chain(member), member.numbers, self.model, self.wide, self.numbers
            )

    def serves(self, width: int, depth: int) -> bool:
        return self.wide is not None and self.width >= width and self.depth >= depth

    @property
    def width(self) -> int:
        return self.wide.width if self.wide else 0

    @property
    def depth(self) -> int:
        return len(self.wide.blocks) if self.wide else 0


class Recent(dict[Hashable, _Value]):
    """A dictionary of at most so many entries: the ones set longest ago go first."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: Hashable, value: _Value) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        while len(self) > self.most:
            del self[next(iter(self))]


class Templates:
    """Chooses templates, and remembers the last: later members find their program compiled."""

    def __init__(self, most: int = MOST_TEMPLATES) -> None:
        self._templates: Recent[Template] = Recent(most)
        # Two structures of each family of chains: whether there are several is all that is asked.
        self._structures: Recent[frozenset[Hashable]] = Recent(most)

    def __len__(self) -> int:
        return len(self._templates)

    def arrange(self, members: Iterable[Member]) -> list[tuple[Template, list[Member]]]:
        """Deal members to templates; those of one template have one batch size too."""
        alike: dict[Hashable, list[Member]] = {}
        for member in members:
            described = structure(member.model, member.numbers, member.fit)
            alike.setdefault((described, member.batch), []).append(member)
        families: dict[Hashable, dict[Hashable, list[Member]]] = {}
        for key, group in alike.items():
            first = group[0]
            name: Hashable = key
            if first.chain is not None:
                name = padding.family(first.model, first.chain, first.numbers), first.batch
                known = self._structures.get(name, frozenset())
                self._structures[name] = known if len(known) > 1 else known | {key}
            families.setdefault(name, {})[key] = group
        arranged = []
        for name, groups in families.items():
            if len(self._structures.get(name, ())) > 1:
                arranged += self._arrange_chains(name, list(groups.values()))
            else:
                arranged += [(self._of_its_own(key, group), group) for key, group in groups.items()]
        for template, group in arranged:
            for member in group:
                template.place(member)
        return arranged

    def _of_its_own(self, key: Hashable, group: Sequence[Member]) -> Template:
        template = self._templates.get(key)
        if template is None:
            template = Template(key, group[0].model, group[0].numbers)
        return self._keep(template)

    def _keep(self, template: Template) -> Template:
        """Remember a template as the one used last."""
        self._templates[template.key] = template
        return template

    def _arrange_chains(
        self, family: Hashable, groups: list[list[Member]]
    ) -> list[tuple[Template, list[Member]]]:
        """Cut them, by width, where programs of their own save more than they cost."""
        groups.sort(key=_size)
        best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the first groups, and the last cut
        for end in range(1, len(groups) + 1):
            costs = [
                (best[begin][0] + self._cost(family, groups[begin:end]), begin)
                for begin in range(end)
            ]
            best.append(min(costs))
        arranged, end = [], len(groups)
        while end:
            begin = best[end][1]
            together = [member for group in groups[begin:end] for member in group]
            arranged.append((self._wide_enough(family, groups[begin:end]), together))
            end = begin
        return arranged[::-1]

    def _cost(self, family: Hashable, groups: list[list[Member]]) -> float:
        """Seconds to train these by one program."""
        template = self._known(family, groups)
        width, depth = (template.width, template.depth) if template else _size_of_all(groups)
        products = sum(
            3.0 * member.rows * member.history.left * (depth - 1) * width**2
            + 3.0 * member.rows * member.history.left * width * _chain(member).ends
            for group in groups
            for member in group
        )
        return products / _PRODUCTS_A_SECOND + (0 if template else _SECONDS_TO_COMPILE)

    def _known(self, family: Hashable, groups: list[list[Member]]) -> Template | None:
        width, depth = _size_of_all(groups)
        known = [
            template
            for template in self._templates.values()
            if template.serves(width, depth) and template.family == family
        ]
        return min(known, key=lambda t: (t.width, t.depth), default=None)

    def _wide_enough(self, family: Hashable, groups: list[list[Member]]) -> Template:
        template = self._known(family, groups)
        if template is None:
            width, _ = _size_of_all(groups)
            lender = max((group[0] for group in groups), key=lambda m: len(_chain(m).blocks))
            with deferred_initialization():
                model = padding.widened(lender.model, _chain(lender), width)
            wide = padding.parse(model)
            assert wide is not None
            key = family, width, len(wide.blocks)
            template = Template(key, model, Numbers(model), wide, family)
        return self._keep(template)


def _chain(member: Member) -> Chain:
    assert member.chain is not None
    return member.chain


def _size(group: Sequence[Member]) -> tuple[int, int]:
    return _chain(group[0]).width, len(_chain(group[0]).blocks)


def _size_of_all(groups: Iterable[Sequence[Member]]) -> tuple[int, int]:
    """Width, rounded up to one of few that later members may fit into, and depth."""
    sizes = [_size(group) for group in groups]
    width, depth = max(w for w, _ in sizes), max(d for _, d in sizes)
    step = max(8, 1 << max(0, math.ceil(math.log2(width)) - 2))  # of a quarter of the next power
    return -(-width // step) * step, depth
