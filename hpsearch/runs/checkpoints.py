"""Which trials' checkpoints stay on disk: those that can be continued, and the best few."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.core.files import remove_folder


@dataclass(slots=True)
class SearchCheckpoints:
    """The checkpoints of one search: a folder, and in it a folder for each trial.

    Args:
        folder: the search's folder.
        keep: how many of the best trials keep their checkpoints when nothing continues them.
    """

    folder: Path
    keep: int = 3
    _ended: set[int] = field(default_factory=set)
    _best: list[tuple[float, int]] = field(default_factory=list)
    _trials: set[int] | None = None

    def folder_of(self, trial: int) -> Path:
        self._trials_with_folder.add(trial)
        return self.folder / str(trial)

    def clear(self) -> None:
        """Delete what an earlier search with the same number left here."""
        remove_folder(self.folder)
        self._trials = set()

    def record_result(self, trial: int, loss: float | None) -> None:
        """Note how a trial ended. loss: lower is better; None: the trial failed."""
        if loss is not None:
            self._ended.add(trial)
            self._best = sorted([*self._best, (loss, trial)])[: self.keep]

    def delete_unneeded(
        self, unfinished: Iterable[int | None], continuable: Callable[[int], bool]
    ) -> None:
        """Delete the checkpoints that nothing needs any more.

        Args:
            unfinished: trials that have not ended, and their parents.
            continuable: whether the search may still continue a trial that has ended.
        """
        needed = {*unfinished, *(trial for _, trial in self._best)}
        for trial in self._trials_with_folder - needed:
            if not (trial in self._ended and continuable(trial)):
                remove_folder(self.folder / str(trial), wait=False)
                self._trials_with_folder.discard(trial)

    @property
    def size(self) -> int:
        """Bytes on disk, without files that cannot be read just now: it is only shown."""
        total = 0
        for trial in self._trials_with_folder:
            with suppress(OSError):
                for file in (self.folder / str(trial)).rglob("*"):
                    with suppress(OSError):
                        total += file.stat().st_size
        return total

    @property
    def _trials_with_folder(self) -> set[int]:
        """Trials that may have a folder."""
        # Listed once: at a URL, listing a folder takes long.
        if self._trials is None:
            names = [p.name for p in self.folder.iterdir()] if self.folder.exists() else []
            self._trials = {int(name) for name in names if name.isdigit()}
        return self._trials
