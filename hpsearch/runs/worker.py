"""What a worker calls first: it loads the study and its data, and tries whether they work."""

import hashlib
import importlib.metadata
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hpsearch.core import progress
from hpsearch.core.data import Data
from hpsearch.core.errors import CheckpointError, HpsearchError, StudyError
from hpsearch.core.files import hide_secrets
from hpsearch.core.seeds import derive_seed
from hpsearch.core.trial import Facts
from hpsearch.evaluators import Given
from hpsearch.evaluators.given_pairs import describe_rows_left_out
from hpsearch.executors import Work
from hpsearch.runs.load import Overrides, describe_error, load_study, locate_error
from hpsearch.runs.sent_study import load_sent_study
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.trial_work import TrialWork
from hpsearch.runs.try_points import AllPointsFailError, try_a_few_points
from hpsearch.training import backend, engines, lean_import, sharing
from hpsearch.training.point_parameters import check_space

_LIBRARIES = "keras|jax|jaxlib|tensorflow|torch|numpy|scipy|sklearn|absl|ml_dtypes|optree|h5py"


def prepare_from_file(
    file: Path,
    overrides: Overrides,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
    shared: Path | Data | None = None,
    mark: Path | None = None,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """Load study and data, and try what the search will do: splits, models, one training step.

    Args:
        backend_name: Keras's backend; None: as the environment says.
        engine: how to train, as `hpsearch.training.engines` has it.
        together: how many trials this worker trains side by side, at most; None: as many as the
            trainer can.
        shared: a folder for large data, which the first worker fills and all workers read. Or the
            data itself, for a worker that cannot read the task's files.
        mark: a file in the checkpoints' folder, which every worker must see.
        try_points: whether to try models at all.

    Raises HpsearchError where the study cannot work, before anything is spent or written.
    """
    if mark is not None and not mark.exists():
        raise CheckpointError(
            f"{platform.node()} does not see the checkpoints' folder {hide_secrets(mark.parent)}; give "
            "--checkpoints a folder or URL that every node reaches"
        )

    def load() -> tuple[StudyDefinition, str]:
        return load_study(file, overrides), hashlib.sha256(file.read_bytes()).hexdigest()

    return _prepare(load, file, backend_name, engine, together, shared, try_points=try_points)


def prepare_sent(
    sent: bytes,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
    shared: Path | None = None,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """As `prepare_from_file`, of a study without a file. sent: by `sent_study.dump_study`."""

    def load() -> tuple[StudyDefinition, str]:
        return load_sent_study(sent), hashlib.sha256(sent).hexdigest()

    return _prepare(load, None, backend_name, engine, together, shared, try_points=try_points)


def prepare_here(
    study: StudyDefinition,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
) -> tuple[Facts, Work]:
    """As `prepare_from_file`, of a study of this process, which trains itself."""
    return _prepare(lambda: (study, ""), None, backend_name, engine, together, None)


def _prepare(
    load: Callable[[], tuple[StudyDefinition, str]],
    file: Path | None,
    backend_name: str | None,
    engine: str,
    together: int | None,
    shared: Path | Data | None,
    *,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """What all ways to prepare share; the other arguments are those of `prepare_from_file`.

    Args:
        load: returns the study, and the fingerprint of what it was loaded from.
        file: the study's, for messages; None: it has none.
    """
    _show_library_warnings()
    backend.choose(backend_name)
    lean_import.import_keras()  # first: the study file may import it
    with _locate_errors(file):
        study, source = load()
        data = sharing.load(study.task, shared)
        progress.report_loaded()
        return prepare_work(
            study,
            data,
            backend_name,
            engine,
            together,
            source,
            try_points=try_points,
            shared=shared if isinstance(shared, Path) else None,
        )


@contextmanager
def _locate_errors(file: Path | None) -> Iterator[None]:
    """Raise whatever the study's code raises as a StudyError that says where. file: its file."""
    try:
        yield
    except AllPointsFailError as error:
        raise StudyError(f"{locate_error(error.first, file)}: {error}") from error
    except (HpsearchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise StudyError(describe_error(error, file)) from error


def _show_library_warnings() -> None:
    """Where the user turned warnings into errors (PYTHONWARNINGS=error), only show libraries' ones.

    Keras could train nothing otherwise.
    """
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.filterwarnings("default", module=rf"({_LIBRARIES})(\.|$)")


def prepare_work(
    study: StudyDefinition,
    data: Data,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
    source: str = "",
    *,
    try_points: bool = True,
    shared: Path | None = None,
) -> tuple[Facts, Work]:
    """Prepare to train a loaded study on these rows. Raises whatever its code raises.

    Arguments are those of `prepare_from_file`. source: the fingerprint of the study file.
    """
    chosen = backend.choose(backend_name)
    trainer = engines.make_trainer(
        study.task,
        engine,
        chosen,
        has_callbacks=study.callbacks is not None,
        shared=shared,
        trains_itself=study.train is not None,
        compares_curves=study.compares_curves,
        streams=data.given_streams is not None,
    )
    splits = study.evaluator.splits(study.task, data, seed=derive_seed(study.seed, "splits"))
    check_space(
        study.trial_function,
        study.space,
        trains_itself=study.train is not None,
        preprocessing=study.task.searched_preprocessing,
    )
    remark, note = try_a_few_points(study, trainer, splits[0], data) if try_points else (None, "")
    side_by_side = trainer.max_concurrent_fits > 1 and not remark
    most = trainer.max_concurrent_fits // len(splits) if side_by_side else 1
    if together is not None and side_by_side:
        _check_memory(together, trainer.fits_in_memory, len(splits))
    elif (together or 1) > 1 and not remark:
        remark = f"--together {together} has no effect: models are trained one after the other"
    evaluator = study.evaluator
    is_given = isinstance(evaluator, Given) and evaluator.parts is not None
    left_out = describe_rows_left_out(evaluator.label, splits, data.rows) if is_given else ""
    facts = Facts(
        data.fingerprint,
        source,
        chosen,
        _find_versions(chosen),
        max(1, together or most) if side_by_side else 1,
        "\n".join(filter(None, [remark, note, _describe_unit(study, data), left_out])),
        # To two digits: small differences in how it is computed make no other search.
        float(f"{trainer.epoch_seconds * len(splits):.2g}"),
        has_test=data.x_test is not None,
    )
    return facts, TrialWork(study, trainer, data, splits, chosen)


def _check_memory(together: int, fits: int, folds: int) -> None:
    """Raise StudyError where memory does not hold this many trials.

    Args:
        fits: how many models it holds.
        folds: models of a trial.
    """
    if together > max(1, fits // folds):
        raise StudyError(
            f"--together {together}: memory holds the weights, gradients and optimizer state of "
            f"{fits:,} such models, {folds} for each trial; --together {max(1, fits // folds)} is "
            "the most, and --together auto finds out how many are best"
        )


def _describe_unit(study: StudyDefinition, data: Data) -> str:
    """The unit of the metric's values where it is not the target's own; else ""."""
    unit = "" if study.task.classifies or data.coding is None else data.coding.unit
    return f"{study.task.measure} is {unit}" if unit else ""


def _find_versions(backend_name: str) -> dict[str, str]:
    names = ("hpsearch", "keras", backend_name, "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
