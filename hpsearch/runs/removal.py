"""Delete trials, studies and leftovers: first in the store, then on disk.

In this order, so that a process that is killed between the two leaves files that nothing names, which
`find_leftovers` finds, and never a row without its files.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hpsearch import store as stores
from hpsearch.core.errors import StoreError
from hpsearch.runs import disk
from hpsearch.runs.disk import Leftover
from hpsearch.store import Store, Target, Url, study_lock

_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What deleting a trial or a study deletes.

    Args:
        trials: the ids of its trials.
        files: its checkpoints and kept models.
        openings: how often a model of the study was tested, which is not forgotten.
        is_running: whether a run of the study is going on.
    """

    target: Target
    trials: tuple[int, ...]
    files: tuple[Leftover, ...]
    openings: int
    is_running: bool

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.files)

    def keeps(self, each: Leftover) -> bool:
        """Whether a file stays: a run may be about to continue from it, and deletes it itself."""
        return self.is_running and each.why == _CHECKPOINTS


def plan_removal(store: Store, target: Target, root: Path) -> RemovalPlan:
    """What would be deleted. root: the folder of all searches' checkpoints.

    Raises StoreError for a trial that has not ended, or that another one continues which has not.
    """
    is_running = store.db.find_owner(target.study) not in ("", None)
    if target.trial is None:
        rows = stores.read_study_rows(store, target.study)
        folders = [disk.checkpoint_folder(root, store.name, search) for search in rows.searches]
        trials, openings = rows.trials, rows.openings
    else:
        stores.check_trial_ended(store, target.trial)
        search, number = stores.locate_trial(store, target.trial)
        folders = [disk.checkpoint_folder(root, store.name, search) / str(number)]
        trials, openings = (target.trial,), 0
    files = [_measure(folder, _CHECKPOINTS) for folder in folders if folder.exists()]
    models = disk.models_of_trials(store, trials)
    files += [_measure(model.folder, "a kept model") for model in models]
    return RemovalPlan(target, trials, tuple(files), openings, is_running)


def _measure(path: Path, why: str) -> Leftover:
    return Leftover(path, disk.measure_path(path), why)


def remove(place: Path | Url, plan: RemovalPlan, say: Callable[[str], None]) -> None:
    """Delete what a plan names. Raises StoreError for a study whose run is going on."""
    target = plan.target
    with ExitStack() as opened:
        if target.trial is None or not plan.is_running:
            fence = opened.enter_context(study_lock(place, target.study, say))
            store = opened.enter_context(Store(place, create=True, fence=fence, say=say))
        else:
            store = opened.enter_context(Store(place, create=True, say=say))
        if target.trial is None:
            stores.remove_study(store, target.study)
        else:
            stores.hide_trial(store, target.trial)
        for each in plan.files:
            if not plan.keeps(each):
                disk.remove_path(each.path)


def clean(
    place: Path | Url,
    root: Path,
    wanted: Iterable[Leftover],
    *,
    is_default_root: bool,
    say: Callable[[str], None],
) -> list[Leftover]:
    """Delete leftovers that are still such; returns those that were deleted.

    Those of a study are deleted under its lock, and stay where a run of it is going on.
    """
    done: list[Leftover] = []
    by_study: dict[str | None, list[Leftover]] = {}
    for each in wanted:
        by_study.setdefault(each.study, []).append(each)
    for study, some in by_study.items():
        with ExitStack() as opened:
            if study is not None:
                try:
                    opened.enter_context(study_lock(place, study, say))
                except StoreError as error:
                    say(f"skipped: {error}")
                    continue
            # Looked for again, now that no run can begin: since then one may have gone on.
            with Store(place) as store:
                now = disk.find_leftovers(store, root, is_default_root=is_default_root)
            still = {each.path for each in now}
            for each in some:
                if each.path in still:
                    disk.remove_path(each.path)
                    done.append(each)
    return done


def rename(place: Path | Url, study: str, new: str, say: Callable[[str], None]) -> None:
    """Give a study another name. Raises StoreError where a run of it is going on."""
    with ExitStack() as opened:
        fence = opened.enter_context(study_lock(place, study, say))
        if new != study:  # nobody may begin a study of that name meanwhile
            opened.enter_context(study_lock(place, new, say))
        store = opened.enter_context(Store(place, create=True, fence=fence, say=say))
        stores.rename_study(store, study, new)
