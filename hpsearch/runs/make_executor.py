"""What trains the trials of a run: this process, workers of this machine, or a Ray cluster's."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from hpsearch.core.arrays import is_lazy
from hpsearch.core.errors import StudyError
from hpsearch.core.files import leave_mark
from hpsearch.core.trial import Facts
from hpsearch.executors import (
    Executor,
    Inline,
    LentSlots,
    Processes,
    RayCluster,
    Work,
    find_devices,
)
from hpsearch.runs import worker
from hpsearch.runs.options import RunOptions
from hpsearch.runs.sent_study import dump_study
from hpsearch.runs.study import StudyDefinition
from hpsearch.training import sharing


def make_executor(
    study: StudyDefinition, options: RunOptions, opened: ExitStack, lent: LentSlots | None
) -> Executor:
    """The executor that the options ask for. It is not open yet.

    Args:
        opened: closes it, and what it needs.
        lent: the devices, where they are lent to this run.
    """
    prepare = make_prepare(study, options)
    if options.inline:
        executor: Executor = Inline(prepare)
    elif options.ray is not None:
        mark = opened.enter_context(leave_mark(options.checkpoints_root))
        executor = _make_ray_cluster(study, options, partial(prepare, mark=mark))
    else:
        devices = find_devices(options.devices) if lent is None else lent.devices
        if options.per_device != 1 or len(devices) > 1:
            prepare = partial(prepare, shared=opened.enter_context(sharing.folder()))
        executor = Processes(
            prepare,
            devices,
            options.per_device,
            timeout=options.timeout,
            recycle=options.recycle,
            prepare_without_models=partial(prepare, try_points=False),
            lent=lent,
            in_flight=study.searcher.in_flight,
        )
    opened.callback(executor.close)
    return executor


def make_prepare(study: StudyDefinition, options: RunOptions) -> "partial[tuple[Facts, Work]]":
    """What each worker of a run calls first: it loads the study, and tries what the run will do.

    A study with a file is loaded from it. One without goes to the workers as it is; on Ray, whose
    nodes are other machines, it is refused by StudyError.

    The executor may add `shared`, `mark` and `try_points`, as `worker.prepare_from_file` has them.
    """
    how = (options.backend, options.engine, options.together)
    if options.file is not None:
        # On Ray, workers run in a copy of the study's folder.
        file = options.file.resolve() if options.ray is None else Path(options.file.name)
        return partial(worker.prepare_from_file, file, options.overrides, *how)
    if options.ray is not None:
        raise StudyError(
            f"study {study.name} has no file, and Ray's workers load studies from files; save it "
            "as a file that binds `study`, and run that, or leave ray= out"
        )
    if options.inline:
        return partial(worker.prepare_here, study, *how)
    return partial(worker.prepare_sent, dump_study(study), *how)


def _make_ray_cluster(
    study: StudyDefinition, options: RunOptions, prepare: Callable[..., tuple[Facts, Work]]
) -> Executor:
    """Nodes get the study's folder, and the rows without the test's.

    Those of a source they read themselves; streams are functions, which they have from the study.
    """
    assert options.ray is not None
    assert options.file is not None  # as make_prepare demands
    data = study.task.load()
    is_read_there = is_lazy(data.x) or data.given_streams is not None
    rows = None if is_read_there else data.without_test()
    return RayCluster(
        partial(prepare, shared=rows),
        options.ray,
        options.gpus_per_worker,
        folder=options.file.resolve().parent,
        timeout=options.timeout,
        recycle=options.recycle,
    )
