"""Choose whose structure a program has, and which members it trains.

A template is a model that lends its structure. Dense networks of one family may share a wide
template, whatever their widths, depths, optimizers and minibatch sizes, where that saves more
compiling than it costs in training. `clusters.py` decides which do.
"""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hpsearch.training.batched import padding
from hpsearch.training.batched.batchable import why_rows_mix
from hpsearch.training.batched.clusters import Cluster, ProgramDemand, Shape, merge_clusters
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.optimizer_mix import OptimizerMix
from hpsearch.training.batched.padding import DenseChain, PaddedLayout
from hpsearch.training.batched.scalars import ModelScalars
from hpsearch.training.deferred import deferred_initialization
from hpsearch.training.point_parameters import shuffles

MAX_TEMPLATES = 48  # each holds a model, and a study may meet any number of structures
_MOST_SHAPES = 64  # of one family, whose trainings are remembered

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class Template:
    """A model that lends its structure to programs.

    Args:
        key: equal for templates that are the same.
        model: the model.
        scalars: its numbers that programs take as data.
        optimizers: that its programs train by.
        minibatches: sizes that its programs have room for, beside those of their members.
        wide: the model as a chain, where narrower networks fit in; else None.
        shape: what fits in, where other networks may.
        family: the family of these networks.
    """

    key: Hashable
    model: Any
    scalars: ModelScalars
    optimizers: OptimizerMix
    minibatches: tuple[int, ...] = ()
    wide: DenseChain | None = None
    shape: Shape | None = None
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
                self.optimizers,
                self.optimizers.index(member.optimizer_kind),
            )

    @property
    def name(self) -> str:
        """Short, and another one for each template of this process."""
        return hashlib.sha256(repr(self.key).encode()).hexdigest()[:12]


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
        # What was trained of each such family: epochs of fits, by shape and rows.
        self._trained: RecentDict[RecentDict[tuple[Shape, float, int]]] = RecentDict(max_templates)

    def __len__(self) -> int:
        return len(self._templates)

    def assign_members(
        self, members: Iterable[BatchMember]
    ) -> list[tuple[Template, list[BatchMember]]]:
        """Group members by template; those that are trained soonest come first."""
        # Members of one structure and minibatch size; where rows act on each other, also of as many
        # rows to validate on, since filled up ones would act on them.
        alike: dict[Hashable, list[BatchMember]] = {}
        for member in members:
            key: Hashable = member.describe_structure(), member.batch_size
            if why_rows_mix(member.model) is not None:
                key = key, *_sizes_of(member)
            alike.setdefault(key, []).append(member)

        # Families of these groups: chains that one wide network can hold.
        families: dict[Hashable, dict[Hashable, list[BatchMember]]] = {}
        for key, group in alike.items():
            first = group[0]
            family: Hashable = key
            if first.chain is not None:
                described = padding.describe_family(first.model, first.chain, first.scalars)
                family = described, *_limits_of_sharing(first)
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
            model = group[0].model
            labels = [(number,) for number in range(len(model.trainable_variables))]
            mix = OptimizerMix({"": model.optimizer}, model.trainable_variables, labels)
            template = Template(key, model, group[0].scalars, mix)
        return self._remember(template)

    def _remember(self, template: Template) -> Template:
        """Note a template as the one used last."""
        self._templates[template.key] = template
        return template

    def _assign_chains(
        self, family: Hashable, groups: list[list[BatchMember]]
    ) -> list[tuple[Template, list[BatchMember]]]:
        """Merge the groups so that compiling and training take least, as far as is known."""
        known = {t.shape: t for t in self._templates.values() if t.shape and t.family == family}
        clusters = [_cluster_of(group) for group in groups]
        assigned: dict[Hashable, tuple[Template, list[BatchMember]]] = {}
        trained = self._trained.get(family)
        if trained is None:
            trained = RecentDict(_MOST_SHAPES)
        merged = merge_clusters(clusters, ProgramDemand(list(known), list(trained.values())))
        for cluster in clusters:
            key = shape, rows = cluster.shape.round_up(), cluster.rows
            _, epochs, _ = trained.get(key, (shape, 0.0, rows))
            trained[key] = shape, epochs + cluster.epochs, rows
        self._trained[family] = trained
        for shape, members in merged:
            template = known.get(shape) or self._wide_template(family, shape, members)
            assigned.setdefault(template.key, (self._remember(template), []))[1].extend(members)
        return list(assigned.values())

    def _wide_template(
        self, family: Hashable, shape: Shape, members: Sequence[BatchMember]
    ) -> Template:
        """A new template of this shape, built like the deepest of these members."""
        deepest = max(members, key=lambda member: _chain_of(member).depth)
        by_kind = {member.optimizer_kind: member.model.optimizer for member in members}
        kinds = sorted(by_kind)
        with deferred_initialization():
            model, optimizers = padding.build_wide_model(
                deepest.model, _chain_of(deepest), shape.widths, [by_kind[k] for k in kinds]
            )
        wide = padding.parse_chain(model)
        assert wide is not None
        mix = OptimizerMix(
            dict(zip(kinds, optimizers, strict=True)),
            model.trainable_variables,
            padding.label_weights(model, wide),
        )
        scalars = ModelScalars(model, optimizers[1:])
        key = family, shape
        return Template(key, model, scalars, mix, shape.minibatches, wide, shape, family)


def _limits_of_sharing(member: BatchMember) -> tuple[Hashable, ...]:
    """What members of one program have in common, where it may not differ.

    Minibatches are filled up where sizes differ, which rows that act on each other forbid. Where
    members share their rows in each step, they must be of one size, and in one order.
    """
    mixed = () if why_rows_mix(member.model) is None else _sizes_of(member)
    if member.fit.order_seed is not None:
        return member.batch_size, shuffles(member.fit.params), *mixed
    return (member.batch_size, *mixed) if mixed else ()


def _sizes_of(member: BatchMember) -> tuple[int, int]:
    """How many rows it trains on and validates on: others are filled up to these in one program."""
    return member.rows, len(member.fit.split.validation)


def _cluster_of(group: Sequence[BatchMember]) -> Cluster:
    first = group[0]
    chain = _chain_of(first)
    shape = Shape(
        chain.widths,
        chain.ends,
        frozenset([first.optimizer_kind]),
        (first.batch_size, first.batch_size),
    )
    # Not those that are left: a search that was killed and continues shall choose as before.
    epochs = sum(member.fit.epochs for member in group)
    return Cluster(shape, list(group), epochs, max(member.rows for member in group))


def estimate_epoch_seconds(member: BatchMember) -> float:
    """What an epoch of this model may take beside others; 0 where it is not a chain of dense layers."""
    if member.chain is None:
        return 0.0
    return _cluster_of([member]).shape.epoch_seconds(member.rows)


def _chain_of(member: BatchMember) -> DenseChain:
    assert member.chain is not None
    return member.chain
