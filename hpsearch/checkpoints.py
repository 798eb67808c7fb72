"""Which trials' checkpoints are kept on disk: what can still be continued, and the best few."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Checkpoints:
    """The folder of a search, with a folder for each trial.

    keep: how many of the best trials keep theirs when nothing can continue them.
    """

    folder: Path
    keep: int = 3
    _ended: set[int] = field(default_factory=set)
    _best: list[tuple[float, int]] = field(default_factory=list)

    def of(self, trial: int) -> Path:
        return self.folder / str(trial)

    def clear(self) -> None:
        """Forget what an earlier search of the same number left here."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def ended(self, trial: int, loss: float | None) -> None:
        """Note how a trial ended; lower is better, None: it failed."""
        if loss is not None:
            self._ended.add(trial)
            self._best = sorted([*self._best, (loss, trial)])[: self.keep]

    def tidy(self, running: Iterable[int | None], continuable: Callable[[int], bool]) -> None:
        """Delete what is of no more use. running: trials that run, and their parents."""
        needed = {*running, *(trial for _, trial in self._best)}
        for path in self._folders():
            trial = int(path.name)
            if trial not in needed and not (trial in self._ended and continuable(trial)):
                shutil.rmtree(path, ignore_errors=True)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(f.stat().st_size for path in self._folders() for f in path.iterdir())

    def _folders(self) -> list[Path]:
        return (
            [p for p in self.folder.iterdir() if p.name.isdigit()] if self.folder.exists() else []
        )
