"""Which trials' checkpoints are kept on disk: what can still be continued, and the best few."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.core.files import remove_folder


@dataclass(slots=True)
class Checkpoints:
    """The folder of a search, with a folder for each trial.

    keep: how many of the best trials keep theirs when nothing can continue them.
    """

    folder: Path
    keep: int = 3
    _ended: set[int] = field(default_factory=set)
    _best: list[tuple[float, int]] = field(default_factory=list)
    _there: set[int] | None = None  # a list of what lies far away takes long

    def of(self, trial: int) -> Path:
        self._folders.add(trial)
        return self.folder / str(trial)

    def clear(self) -> None:
        """Forget what an earlier search of the same number left here."""
        remove_folder(self.folder)
        self._there = set()

    def ended(self, trial: int, loss: float | None) -> None:
        """Note how a trial ended; lower is better, None: it failed."""
        if loss is not None:
            self._ended.add(trial)
            self._best = sorted([*self._best, (loss, trial)])[: self.keep]

    def tidy(self, running: Iterable[int | None], continuable: Callable[[int], bool]) -> None:
        """Delete what is of no more use. running: trials that run, and their parents."""
        needed = {*running, *(trial for _, trial in self._best)}
        for trial in self._folders - needed:
            if not (trial in self._ended and continuable(trial)):
                remove_folder(self.folder / str(trial), wait=False)
                self._folders.discard(trial)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        folders = [self.folder / str(trial) for trial in self._folders]
        return sum(f.stat().st_size for path in folders if path.exists() for f in path.iterdir())

    @property
    def _folders(self) -> set[int]:
        """Trials that may have one."""
        if self._there is None:
            names = [p.name for p in self.folder.iterdir()] if self.folder.exists() else []
            self._there = {int(name) for name in names if name.isdigit()}
        return self._there
