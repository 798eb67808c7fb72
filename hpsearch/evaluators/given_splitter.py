"""A splitter of scikit-learn's, or one that is used like it, in a study."""

import copy
import warnings
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from hpsearch.core.arrays import targets_by_name
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.option_text import names_address, settings_text
from hpsearch.core.rules import brief, to_builtin
from hpsearch.core.task import Task
from hpsearch.evaluators.given_pairs import GivenPairs, read_pairs

# Those of scikit-learn that validate each row once at most; subclasses may do otherwise.
_VALIDATE_ONCE = (
    "KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "TimeSeriesSplit",
    "PredefinedSplit", "LeaveOneOut", "LeaveOneGroupOut",
)  # fmt: skip
_PAIRS_INSTEAD = "give its pairs: Given(list(splitter.split(x, y)))"
_VALIDATE_ONCE_A_REPEAT = ("RepeatedKFold", "RepeatedStratifiedKFold")


@dataclass(frozen=True, slots=True)
class GivenSplitter:
    """A splitter, shown by its settings: stores know by them whether it is the same.

    Args:
        settings: as `make_given_splitter` writes them.
    """

    splitter: Any = field(compare=False)
    settings: str

    def __repr__(self) -> str:
        return self.settings

    @property
    def folds(self) -> int | None:
        """How many splits it gives; None where only the data tells."""
        try:
            return int(self.splitter.get_n_splits())
        except Exception:  # LeaveOneOut and others need the rows; an own one may not have it
            return None

    @property
    def independent_folds(self) -> float | None:
        """As `count_independent_folds` has it; None where the kind of splitter does not tell."""
        kind, folds = type(self.splitter), self.folds
        if not _is_of_sklearn(self.splitter) or folds is None:
            return None
        if kind.__name__ in _VALIDATE_ONCE_A_REPEAT:
            return folds / int(self.splitter.n_repeats)
        return float(folds) if kind.__name__ in _VALIDATE_ONCE else None

    def split(self, task: Task, data: Data, seed: int) -> GivenPairs:
        """The splits of these rows.

        The splitter gets x (with several inputs: the rows' numbers), the classes of a
        classification or else y, and the groups.

        Args:
            seed: for a splitter that is random and has none of its own.

        Raises DataError where it cannot split them, or gives other splits each time.
        """
        splitter = seed_splitter(self.splitter, seed)
        first, second = (self._call(splitter, task, data) for _ in range(2))
        if first != second:
            raise DataError(
                f"{self.settings} gives other folds each time, and continuing must find the same "
                f"ones; give it a seed, or {_PAIRS_INSTEAD}"
            )
        if self.folds not in (None, len(first.splits)):
            raise DataError(
                f"{self.settings} says that it gives {self.folds} folds, and gives "
                f"{len(first.splits)}"
            )
        return first

    def _call(self, splitter: Any, task: Task, data: Data) -> GivenPairs:
        x = np.arange(data.rows)[:, None] if isinstance(data.x, dict) else data.x
        y = task.classes(data)
        if y is None and not task.has_several_outputs:
            y = targets_by_name(data.y)[""]
        try:
            with warnings.catch_warnings():
                # The data may have groups for other evaluators.
                warnings.filterwarnings("ignore", "The groups parameter is ignored")
                return read_pairs(splitter.split(x, y, data.groups))
        except DataError as error:
            raise DataError(f"{self.settings}: {error}") from error
        except Exception as error:
            if data.groups is None and "group" in str(error):
                raise DataError(
                    f"{self.settings} needs Data(groups=...), and task {task.name} has none"
                ) from error
            raise DataError(
                f"{self.settings} cannot split the rows of task {task.name}: {first_line(error)}"
            ) from error


def is_splitter(value: Any) -> bool:
    """Whether a value is used like a splitter of scikit-learn's."""
    is_plain = isinstance(value, str | bytes | type)
    return not is_plain and callable(getattr(value, "split", None))


def _is_of_sklearn(splitter: Any) -> bool:
    return type(splitter).__module__.startswith("sklearn.")


def seed_splitter(splitter: Any, seed: int) -> Any:
    """The splitter, or a copy with this seed where it is random and has none."""
    is_random = getattr(splitter, "shuffle", True) and "random_state" in vars(splitter)
    if not is_random or splitter.random_state is not None:
        return splitter
    seeded = copy.copy(splitter)
    seeded.random_state = seed
    return seeded


def make_given_splitter(splitter: Any) -> GivenSplitter:
    """A splitter with its settings as text: equal for equal settings, in every process.

    Raises DataError for a seed that changes with use, and for settings that cannot be written.
    """
    name, held = type(splitter).__name__, getattr(splitter, "__dict__", None)
    if held is None:  # it has __slots__, or is not written in Python
        raise DataError(f"{name} does not say its settings; {_PAIRS_INSTEAD}")
    values = {key: to_builtin(value) for key, value in held.items()}
    if _is_of_sklearn(splitter):
        # What these keep to themselves, and classes that they use, follow from the rest, and may
        # have other names in the next version.
        values = {
            key: value
            for key, value in values.items()
            if not key.startswith("_") and not isinstance(value, type)
        }
    seed = values.get("random_state")
    if seed is not None and not isinstance(seed, Integral):
        raise DataError(
            f"{name} needs random_state= a whole number, or none for the study's seed, got "
            f"{brief(seed)}; continuing must find the same folds"
        )
    given = {key: value for key, value in sorted(values.items()) if value is not None}
    text = ", ".join(f"{key}={settings_text(value)}" for key, value in given.items())
    if names_address(text):
        raise DataError(
            f"{name} has settings that cannot be compared with a store's, {brief(text)}; "
            f"{_PAIRS_INSTEAD}"
        )
    return GivenSplitter(splitter, f"{name}({text})")
