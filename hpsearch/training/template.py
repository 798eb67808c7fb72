"""Whose structure a program has, and which members it serves: of one structure, or of narrower ones."""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.training import chain
from hpsearch.training.building import valueless
from hpsearch.training.chain import Chain
from hpsearch.training.member import Member
from hpsearch.training.numbers import Numbers, structure
from hpsearch.training.placing import Narrow

# What decides between a program of their own for some members and a wider one that is slower: a
# guess is enough, because both are right.
_SECONDS_TO_COMPILE = 1.5
_PRODUCTS_A_SECOND = 7e10


@dataclass(frozen=True, eq=False)
class Template:
    """A model that lends its structure to programs. wide: as a chain, where narrower ones fit in."""

    key: Hashable
    model: Any
    numbers: Numbers
    wide: Chain | None = None

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


class Templates:
    """Chooses templates, and remembers them, so that later members find a program compiled."""

    def __init__(self) -> None:
        self._own: dict[Hashable, Template] = {}
        self._wide: dict[Hashable, list[Template]] = {}
        self._structures: dict[Hashable, set[str]] = {}

    def arrange(self, members: Iterable[Member]) -> list[tuple[Template, list[Member]]]:
        """Deal members to templates; those of one template have one batch size too."""
        alike: dict[Hashable, list[Member]] = {}
        for member in members:
            described = structure(member.model, member.numbers, member.fit.params)
            alike.setdefault((described, member.batch), []).append(member)
        families: dict[Hashable, dict[Hashable, list[Member]]] = {}
        for key, group in alike.items():
            first = group[0]
            name: Hashable = key
            if first.chain is not None:
                name = chain.family(first.model, first.chain, first.numbers), first.batch
                self._structures.setdefault(name, set()).add(str(key))
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
        if key not in self._own:
            self._own[key] = Template(key, group[0].model, group[0].numbers)
        return self._own[key]

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
            + 3.0 * member.rows * member.history.left * width * _ends(member)
            for group in groups
            for member in group
        )
        return products / _PRODUCTS_A_SECOND + (0 if template else _SECONDS_TO_COMPILE)

    def _known(self, family: Hashable, groups: list[list[Member]]) -> Template | None:
        width, depth = _size_of_all(groups)
        known = [t for t in self._wide.get(family, ()) if t.serves(width, depth)]
        return min(known, key=lambda t: (t.width, t.depth), default=None)

    def _wide_enough(self, family: Hashable, groups: list[list[Member]]) -> Template:
        template = self._known(family, groups)
        if template is None:
            width, _ = _size_of_all(groups)
            lender = max((group[0] for group in groups), key=lambda m: len(_chain(m).blocks))
            with valueless():
                model = chain.widened(lender.model, _chain(lender), width)
            wide = chain.parse(model)
            assert wide is not None
            key = family, width, len(wide.blocks)
            template = Template(key, model, Numbers(model), wide)
            self._wide.setdefault(family, []).append(template)
        return template


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


def _ends(member: Member) -> int:
    """Units at the two ends of a chain."""
    own = _chain(member)
    return int(own.blocks[0][0].kernel.shape[0]) + int(own.output[0].units)
