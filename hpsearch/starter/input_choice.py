"""Choose which columns of a table are inputs, and what becomes of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hpsearch.starter.columns import Column, Role, choose_role
from hpsearch.starter.redundant_columns import find_copies, find_leaks
from hpsearch.starter.row_structure import RowStructure
from hpsearch.starter.table_description import Wishes
from hpsearch.starter.targets import TargetDescription


@dataclass(slots=True)
class Inputs:
    """The columns by what becomes of them, while this is being decided.

    Args:
        roles: what each column is by itself.
        left_out: why columns are no inputs.
        suspects: inputs that give the target away, where no others are left.
    """

    roles: dict[str, Role] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    suspects: tuple[str, ...] = ()

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        return tuple(
            name
            for name, role in self.roles.items()
            if role.kind in kinds and name not in self.left_out
        )


def choose_inputs(columns: Sequence[Column], structure: RowStructure, wishes: Wishes) -> Inputs:
    """What each column is by itself."""
    found = Inputs()
    for column in columns:
        name = column.name
        role = choose_role(column, keep=name in wishes.keep, as_text=name in wishes.texts)
        found.roles[name] = role
        if name in (structure.group, structure.time) and name not in wishes.keep:
            if name == structure.group or role.kind != "date":
                found.left_out[name] = ""  # a note of its own says it
        elif role.left_out:
            found.left_out[name] = role.left_out
    return found


def leave_out_redundant(
    found: Inputs,
    columns: Sequence[Column],
    target: Column,
    goal: TargetDescription,
    wishes: Wishes,
) -> None:
    """Leave out columns that repeat others, and those that give the target away."""
    inputs = [each for each in columns if each.name not in found.left_out]
    for name, other in find_copies(inputs).items():
        if name not in wishes.keep:
            found.left_out[name] = f"a copy of {other!r}"
    inputs = [each for each in inputs if each.name not in found.left_out]
    told = [each for each in inputs if found.roles[each.name].kind != "date"]
    leaks = find_leaks(told, target, goal.classes)
    leaks = {name: why for name, why in leaks.items() if name not in wishes.keep}
    if len(leaks) < len(inputs):
        found.left_out |= leaks
    else:
        found.suspects = tuple(leaks)
