"""The causes of failed trials."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class FailureCause:
    """Trials that failed alike.

    Args:
        kind, message: of the failure; of the message the first line.
        trials: their ids.
        traceback: of the first trial.
    """

    kind: str
    message: str
    trials: tuple[int, ...]
    traceback: str

    @property
    def count(self) -> int:
        return len(self.trials)


def group_failures(failures: pd.DataFrame) -> list[FailureCause]:
    """Failures by cause, the most frequent first. failures: as `StoreFrames.failures`."""
    lines = failures["message"].fillna("").str.split("\n").str[0].rename("line")
    found = [
        FailureCause(
            str(kind),
            str(line),
            tuple(int(trial) for trial in group.index),
            str(group["traceback"].iloc[0] or ""),
        )
        for (kind, line), group in failures.groupby([failures["kind"], lines], sort=False)
    ]
    return sorted(found, key=lambda cause: -cause.count)
