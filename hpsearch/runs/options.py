"""The options of one run: everything that the study file does not say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hpsearch.core.plan import Budget
from hpsearch.core.trial import CheckpointInterval
from hpsearch.loggers import LogPlace
from hpsearch.runs.disk import checkpoint_root
from hpsearch.runs.load import Overrides
from hpsearch.store import Url

BaselineMode = Literal["off", "quick", "full"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a study runs.

    Args:
        file: the study file; None: the study has none, and goes to workers as it is.
        source: the text of a study without a file, where this process cannot read it.
        store: the store's file or URL.
        overrides: values that replace the study file's.
        backend: Keras's backend.
        engine: how to train, as `hpsearch.training.engines` has it.
        together: how many trials a worker trains side by side, at most. None: as many as the
            searcher can have in flight without harm.
        fresh: whether to start the search over, though the store has one of this study.
        budget: what the run may take.
        stop_at_failure: whether the first trial that fails ends the run, by StudyError.
        began: since when the budget's hours count, in seconds since 1970, where the run is one of
            several. None: since the run began.
        checkpoints: the folder, on disk or at a URL, for the checkpoints of all searches. None:
            checkpoints/ beside the store.
        checkpoint_every: how often a trial leaves a checkpoint before its end.
        keep: how many of the best trials keep their checkpoints.
        repeats: how many more times each of the best `finalists` is trained at the end.
        finalists: how many of the best trials are repeated.
        inline: whether this process trains, without workers.
        devices, per_device, timeout, recycle: as `hpsearch.executors.Processes` has them.
        ray: the address of a Ray cluster that trains. None: this machine does.
        gpus_per_worker: as `hpsearch.executors.RayCluster` has it.
        baselines: whether the study's baselines are trained beside the search; "quick" bounds the
            time of each, "full" does not.
        is_kept: whether the store lasts longer than the run, so that others may go on with the search.
        log: where trials are logged while they train, as `hpsearch.loggers.check_place` takes it.
    """

    file: Path | None
    store: Path | Url
    overrides: Overrides
    backend: str
    source: str | None = None
    engine: str = "auto"
    together: int | None = None
    fresh: bool = False
    budget: Budget = field(default_factory=Budget)
    stop_at_failure: bool = False
    began: float | None = None
    checkpoints: Path | None = None
    checkpoint_every: CheckpointInterval = field(default_factory=CheckpointInterval)
    keep: int = 3
    repeats: int = 0
    finalists: int = 3
    inline: bool = False
    devices: str = "auto"
    per_device: int | None = 1
    timeout: float | None = None
    recycle: int | None = 200
    ray: str | None = None
    gpus_per_worker: float | None = None
    baselines: BaselineMode = "off"
    is_kept: bool = True
    log: Sequence[str | LogPlace] = ()

    @property
    def checkpoints_root(self) -> Path:
        """The folder in which each search has one for its checkpoints."""
        return checkpoint_root(self.store, self.checkpoints)
